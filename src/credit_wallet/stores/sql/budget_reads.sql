-- Budgets as they are shown, and their log. Amounts are in two columns, whole ones of the unit and the millionths beyond.

-- budgets: a page of a wallet's budgets, by id
SELECT budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone,
       week_start, raised_whole, raised_fraction, raised_until, created_at
FROM am_credit_budget
WHERE wallet_id = :wallet_id AND budget_id > :after AND deleted_at IS NULL
ORDER BY budget_id
LIMIT :limit;

-- budgets_of_key: those of them that charges of an agent key can match: of any key or this one, of any group or its groups
SELECT budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone,
       week_start, raised_whole, raised_fraction, raised_until, created_at
FROM am_credit_budget
WHERE wallet_id = :wallet_id AND budget_id > :after AND deleted_at IS NULL
  AND (replace(scope, '[".key_id",', '') = scope OR replace(scope, '[".key_id","*"]', '') <> scope
       OR replace(scope, :key, '') <> scope)
  AND (replace(scope, '[".group",', '') = scope OR replace(scope, :group_a, '') <> scope
       OR replace(scope, :group_b, '') <> scope OR replace(scope, :group_c, '') <> scope
       OR replace(scope, :group_d, '') <> scope)
ORDER BY budget_id
LIMIT :limit;

-- budgets_found: a wallet's budgets by their anchors, given as JSON
SELECT budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone,
       week_start, raised_whole, raised_fraction, raised_until, created_at
FROM json_each(:anchors)
CROSS JOIN am_credit_budget ON wallet_id = :wallet_id AND anchor = value AND deleted_at IS NULL;

-- budget: one budget
SELECT budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone,
       week_start, raised_whole, raised_fraction, raised_until, created_at
FROM am_credit_budget
WHERE budget_id = :budget_id AND deleted_at IS NULL;

-- caps: a page of a wallet's agent keys that work and have a cap, with what each has spent in :cycle
SELECT k.key_id, k.label, k.monthly_cap_yen,
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END,
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_fraction ELSE coalesce(s.spent_fraction, 0) END,
       k.held_yen, k.held_fraction
FROM am_credit_key k
LEFT JOIN am_credit_cycle_spend s ON s.billing_cycle = :cycle AND s.wallet_id = k.wallet_id AND s.key_id = k.key_id
WHERE k.wallet_id = :wallet_id AND k.key_id > :after AND k.monthly_cap_yen > 0
  AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :now)
ORDER BY k.key_id
LIMIT :limit;

-- used: of budgets in their current windows, given as JSON, what the fullest value has spent and holds (on SQLite, columns
-- beside the only max() are of its row), how many values there are, and what was refused of all of them. What has left a rolling window is what its steps say since its row was
-- written, up to an instant; the clock may also have stepped back. The joins are in the order in which they are to run
WITH asked AS (
    SELECT CAST(value ->> 'budget_id' AS INTEGER) AS budget_id, value ->> 'window_start' AS window_start,
           value ->> 'left_at' AS left_at, value ->> 'value' AS only_value
    FROM json_each(:asked)),
counted AS (
    SELECT s.budget_id, s.value, s.spent, s.spent_fraction, s.refused, s.refused_fraction, s.refusals, s.counted_from,
           s.last_at, a.left_at, coalesce(h.held, 0) AS held, coalesce(h.held_fraction, 0) AS held_fraction
    FROM asked a
    CROSS JOIN am_credit_budget_spent s
      ON s.wallet_id = :wallet_id AND s.budget_id = a.budget_id AND s.window_start = a.window_start
     AND (a.only_value IS NULL OR s.value = a.only_value)
    LEFT JOIN am_credit_budget_held h
      ON h.wallet_id = s.wallet_id AND h.budget_id = s.budget_id AND h.value = s.value
    UNION ALL
    SELECT h.budget_id, h.value, 0, 0, 0, 0, 0, NULL, NULL, a.left_at, h.held, h.held_fraction
    FROM asked a
    CROSS JOIN am_credit_budget_held h
      ON h.wallet_id = :wallet_id AND h.budget_id = a.budget_id AND (a.only_value IS NULL OR h.value = a.only_value)
    WHERE NOT EXISTS (SELECT 1 FROM am_credit_budget_spent s
                      WHERE s.wallet_id = h.wallet_id AND s.budget_id = h.budget_id
                        AND s.window_start = a.window_start AND s.value = h.value)),
moved AS (
    SELECT c.budget_id, c.value, sum(CASE WHEN t.at > c.counted_from THEN -t.spent ELSE t.spent END) AS spent,
           sum(CASE WHEN t.at > c.counted_from THEN -t.spent_fraction ELSE t.spent_fraction END) AS spent_fraction
    FROM counted c
    CROSS JOIN am_credit_budget_step t
      ON t.wallet_id = :wallet_id AND t.budget_id = c.budget_id AND t.value = c.value
     AND ((t.at > c.counted_from AND t.at <= c.left_at) OR (t.at > c.left_at AND t.at <= c.counted_from))
    WHERE c.counted_from IS NOT NULL
    GROUP BY c.budget_id, c.value),
used AS (
    SELECT c.*, c.spent + coalesce(m.spent, 0) AS spent_now, c.spent_fraction + coalesce(m.spent_fraction, 0) AS beyond,
           CASE WHEN c.counted_from IS NULL OR c.last_at > c.left_at OR c.held + c.held_fraction > 0 THEN 1 ELSE 0
           END AS counts
    FROM counted c
    LEFT JOIN moved m ON m.budget_id = c.budget_id AND m.value = c.value)
SELECT budget_id, value, spent_now, beyond, held, held_fraction, last_at, sum(counts), sum(refused),
       sum(refused_fraction), sum(refusals), max((spent_now + held) * 1000000 + beyond + held_fraction)
FROM used
GROUP BY budget_id;

-- values: a page of the values that a budget counts in its current window, in their order
WITH spending AS (
    SELECT s.value, s.spent, s.spent_fraction, s.refused, s.refused_fraction, s.refusals, s.counted_from, s.last_at,
           coalesce(h.held, 0) AS held, coalesce(h.held_fraction, 0) AS held_fraction
    FROM am_credit_budget_spent s
    LEFT JOIN am_credit_budget_held h
      ON h.wallet_id = s.wallet_id AND h.budget_id = s.budget_id AND h.value = s.value
    WHERE s.wallet_id = :wallet_id AND s.budget_id = :budget_id AND s.window_start = :window_start AND s.value > :after
      AND (s.counted_from IS NULL OR s.last_at > :left_at OR s.refusals > 0 OR h.value IS NOT NULL)
    ORDER BY s.value LIMIT :limit),
holding AS (
    SELECT h.value, 0, 0, 0, 0, 0, NULL AS counted_from, NULL AS last_at, h.held,
           h.held_fraction
    FROM am_credit_budget_held h
    WHERE h.wallet_id = :wallet_id AND h.budget_id = :budget_id AND h.value > :after
      AND NOT EXISTS (SELECT 1 FROM am_credit_budget_spent s
                      WHERE s.wallet_id = h.wallet_id AND s.budget_id = h.budget_id AND s.window_start = :window_start
                        AND s.value = h.value)
    ORDER BY h.value LIMIT :limit),
page AS (SELECT * FROM spending UNION ALL SELECT * FROM holding ORDER BY value LIMIT :limit)
SELECT p.value, p.spent + coalesce(sum(CASE WHEN t.at > p.counted_from THEN -t.spent ELSE t.spent END), 0),
       p.spent_fraction + coalesce(sum(CASE WHEN t.at > p.counted_from THEN -t.spent_fraction ELSE t.spent_fraction END), 0),
       p.held, p.held_fraction, p.last_at, p.refused, p.refused_fraction, p.refusals
FROM page p
LEFT JOIN am_credit_budget_step t
  ON p.counted_from IS NOT NULL AND t.wallet_id = :wallet_id AND t.budget_id = :budget_id AND t.value = p.value
 AND ((t.at > p.counted_from AND t.at <= :left_at) OR (t.at > :left_at AND t.at <= p.counted_from))
GROUP BY p.value, p.spent, p.spent_fraction, p.held, p.held_fraction, p.last_at, p.refused, p.refused_fraction, p.refusals
ORDER BY p.value;

-- changes: a page of changes to a wallet's budgets, newest first
SELECT change_id, budget_id, changed_by, changed_at, before, after, after_txn_id
FROM am_credit_budget_change
WHERE wallet_id = :wallet_id AND change_id < :before
ORDER BY change_id DESC
LIMIT :limit;

-- changes_of: the same of one budget
SELECT change_id, budget_id, changed_by, changed_at, before, after, after_txn_id
FROM am_credit_budget_change
WHERE wallet_id = :wallet_id AND budget_id = :budget_id AND change_id < :before
ORDER BY change_id DESC
LIMIT :limit;
