-- Windows of budgets that have ended, in which a budget was used up. They run unchanged on every database.

-- renewal_due: whether one has ended by :at without an event
SELECT 1 FROM am_credit_budget_spent WHERE renewal = 1 AND window_end <= :at LIMIT 1;

-- renewals_due: such windows, those that ended first
SELECT wallet_id, budget_id, window_start, value, window_end FROM am_credit_budget_spent
WHERE renewal = 1 AND window_end <= :at
ORDER BY window_end
LIMIT :limit;

-- note_renewal: take the event of a window, unless somebody has
UPDATE am_credit_budget_spent SET renewal = 2
WHERE wallet_id = :wallet_id AND budget_id = :budget_id AND window_start = :window_start AND value = :value
  AND renewal = 1
RETURNING spent, spent_fraction, refusals;
