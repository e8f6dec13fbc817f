-- Budgets: making, changing and deleting them, each in a transaction that has the wallet for itself. They run unchanged on
-- every database.

-- lock_wallet: a wallet with its budgets, for this transaction alone
UPDATE am_credit_wallet SET budget_kinds = budget_kinds WHERE wallet_id = :wallet_id
RETURNING budget_kinds, time_zone, coalesce(last_txn_id, 0);

-- set_kinds: by which kinds of conditions budgets of a wallet are found
UPDATE am_credit_wallet SET budget_kinds = :budget_kinds WHERE wallet_id = :wallet_id;

-- wallet_of_budget: whose it is
SELECT wallet_id FROM am_credit_budget WHERE budget_id = :budget_id;

-- budget: a budget, and when it was deleted
SELECT budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone,
       week_start, raised_whole, raised_fraction, raised_until, created_at, deleted_at
FROM am_credit_budget
WHERE budget_id = :budget_id AND wallet_id = :wallet_id;

-- at_anchor: the live budgets of a wallet that are found by a condition, as far as :max
SELECT budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone,
       week_start, raised_whole, raised_fraction, raised_until, created_at
FROM am_credit_budget
WHERE wallet_id = :wallet_id AND anchor = :anchor AND deleted_at IS NULL
LIMIT :max;

-- create_budget: one more
INSERT INTO am_credit_budget (wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, anchor, mode, shares,
                              time_zone, week_start, raised_whole, raised_fraction, raised_until, created_at,
                              after_txn_id)
VALUES (:wallet_id, :label, :unit, :limit_whole, :limit_fraction, :time_window, :scope, :anchor, :mode, :shares,
        :time_zone, :week_start, :raised_whole, :raised_fraction, :raised_until, :created_at, :after_txn_id)
RETURNING budget_id;

-- configure_budget: what can be changed of it
UPDATE am_credit_budget
SET label = :label, limit_whole = :limit_whole, limit_fraction = :limit_fraction, mode = :mode, shares = :shares,
    raised_whole = :raised_whole, raised_fraction = :raised_fraction, raised_until = :raised_until
WHERE budget_id = :budget_id AND wallet_id = :wallet_id;

-- delete_budget: it is no longer found, and kept
UPDATE am_credit_budget SET deleted_at = :now WHERE budget_id = :budget_id AND wallet_id = :wallet_id;

-- open_holds: open holds of a wallet after one, in the order in which they expire, up to :limit
SELECT hold_id, wallet_id, key_id, amount_yen, captured_yen, status, lots, note, created_at, expires_at, closed_at, closer,
       served, above_yen, amount_fraction, captured_fraction, above_fraction, usage, reserved
FROM am_credit_hold
WHERE wallet_id = :wallet_id AND status = 'open' AND (expires_at, hold_id) > (:expires_at, :hold_id)
ORDER BY expires_at, hold_id
LIMIT :limit;

-- groups: the agent keys of a wallet that are in groups
SELECT key_id, key_group FROM am_credit_key WHERE wallet_id = :wallet_id AND key_group IS NOT NULL;

-- set_reserved: where holds reserve, for the :rows
WITH given (given_id, given_reserved) AS (VALUES :rows)
UPDATE am_credit_hold SET reserved = given_reserved FROM given WHERE hold_id = given_id AND wallet_id = :wallet_id;

-- put_held: what holds reserve of a new budget, for the :rows
WITH given (given_value, given_held, given_fraction) AS (VALUES :rows)
INSERT INTO am_credit_budget_held (wallet_id, budget_id, value, held, held_fraction)
SELECT :wallet_id, :budget_id, given_value, given_held, given_fraction FROM given;

-- put_change: log a change
INSERT INTO am_credit_budget_change (wallet_id, budget_id, changed_by, changed_at, before, after, after_txn_id)
VALUES (:wallet_id, :budget_id, :changed_by, :changed_at, :before, :after, :after_txn_id);

-- wallet_of_key: whose it is
SELECT wallet_id FROM am_credit_key WHERE key_id = :key_id;

-- key: what can be changed of an agent key
SELECT label, monthly_cap_yen, key_group FROM am_credit_key WHERE key_id = :key_id AND wallet_id = :wallet_id;

-- configure_key: from now on
UPDATE am_credit_key SET label = :label, monthly_cap_yen = :monthly_cap_yen, key_group = :key_group
WHERE key_id = :key_id AND wallet_id = :wallet_id;

-- of_whole_wallet: the live budgets of a wallet without conditions
SELECT budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone,
       week_start, raised_whole, raised_fraction, raised_until, created_at
FROM am_credit_budget
WHERE wallet_id = :wallet_id AND anchor = '' AND deleted_at IS NULL
ORDER BY budget_id;

-- add_spent: count whole yen or a call in a window
INSERT INTO am_credit_budget_spent AS s (wallet_id, budget_id, window_start, value, window_end, spent)
VALUES (:wallet_id, :budget_id, :window_start, '', :window_end, :spent)
ON CONFLICT (wallet_id, budget_id, window_start, value) DO UPDATE SET spent = s.spent + excluded.spent;

-- add_step: note when whole yen or a call count as past
INSERT INTO am_credit_budget_step AS s (wallet_id, budget_id, value, at, spent)
VALUES (:wallet_id, :budget_id, '', :at, :spent)
ON CONFLICT (wallet_id, budget_id, value, at) DO UPDATE SET spent = s.spent + excluded.spent;

-- add_rolling: count a step in a rolling window, unless it has left the window
INSERT INTO am_credit_budget_spent AS s (wallet_id, budget_id, window_start, value, spent, counted_from, last_at)
VALUES (:wallet_id, :budget_id, '', '', CASE WHEN CAST(:at AS TEXT) > CAST(:counted_from AS TEXT) THEN :spent ELSE 0 END,
        :counted_from, :at)
ON CONFLICT (wallet_id, budget_id, window_start, value) DO UPDATE
SET spent = s.spent + CASE WHEN excluded.last_at > s.counted_from THEN :spent ELSE 0 END,
    last_at = CASE WHEN s.last_at > excluded.last_at THEN s.last_at ELSE excluded.last_at END;
