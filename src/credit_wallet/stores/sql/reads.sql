-- Reads, all of them outside the rail. They run unchanged on every database.

-- wallet: a wallet as its owner sees it
SELECT wallet_id, label, balance_yen, held_yen, debt_yen, auto_topup_threshold, auto_topup_amount, monthly_budget_yen,
       budget_mode, time_zone, current_cycle, cycle_spent_yen, enabled, created_at, next_due_at, last_txn_id
FROM am_credit_wallet
WHERE wallet_id = :wallet_id;

-- wallets: a page of wallets, by id
SELECT wallet_id, label, balance_yen, held_yen, debt_yen, auto_topup_threshold, auto_topup_amount, monthly_budget_yen,
       budget_mode, time_zone, current_cycle, cycle_spent_yen, enabled, created_at, next_due_at, last_txn_id
FROM am_credit_wallet
WHERE wallet_id > :after
ORDER BY wallet_id
LIMIT :limit;

-- cycle_spent: what a wallet (key_id 0) or an agent key spent in a cycle that its row has left
SELECT coalesce(max(spent_yen), 0)
FROM am_credit_cycle_spend
WHERE billing_cycle = :cycle AND wallet_id = :wallet_id AND key_id = :key_id;

-- owner_of_token: the wallet that an owner token opens
SELECT wallet_id FROM am_credit_wallet WHERE owner_token_hash = :token_hash;

-- key_of_token: the agent key that a token opens
SELECT wallet_id, key_id, expires_at, revoked_at FROM am_credit_key WHERE token_hash = :token_hash;

-- keys: a wallet's agent keys
SELECT key_id, wallet_id, label, monthly_cap_yen, current_cycle, cycle_spent_yen, held_yen, created_at, expires_at,
       revoked_at
FROM am_credit_key
WHERE wallet_id = :wallet_id
ORDER BY key_id;

-- hold: a hold and what became of it
SELECT hold_id, wallet_id, key_id, amount_yen, captured_yen, status, created_at, expires_at
FROM am_credit_hold
WHERE hold_id = :hold_id;

-- wallet_of_entry: whose ledger entry it is
SELECT wallet_id FROM am_credit_transaction_log WHERE txn_id = :txn_id;

-- history: a wallet's entries from :start back along its chain
WITH RECURSIVE chain AS (
    SELECT * FROM am_credit_transaction_log WHERE txn_id = :start AND wallet_id = :wallet_id
    UNION ALL
    SELECT e.* FROM chain c
    JOIN am_credit_transaction_log e ON e.txn_id = c.prev_txn_id AND e.wallet_id = c.wallet_id
)
SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, note, ledger_balance_yen, key_id, related_txn_id, hold_id
FROM chain
WHERE CAST(:txn_type AS TEXT) IS NULL OR txn_type = :txn_type
LIMIT :limit;

-- cycle_entries: a wallet's entries of a cycle, oldest first; the walk ends at the first entry before :walk_until
WITH RECURSIVE chain AS (
    SELECT * FROM am_credit_transaction_log WHERE txn_id = :start AND wallet_id = :wallet_id
    UNION ALL
    SELECT e.* FROM chain c
    JOIN am_credit_transaction_log e ON e.txn_id = c.prev_txn_id AND e.wallet_id = c.wallet_id
    WHERE c.occurred_at >= :walk_until
)
SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, note, ledger_balance_yen, key_id, related_txn_id, hold_id
FROM chain
WHERE replace(occurred_at, ' ', 'T') >= :cycle_start AND replace(occurred_at, ' ', 'T') < :cycle_end
ORDER BY txn_id;

-- alerts: the alerts of a wallet, newest first, of one cycle or of all
SELECT threshold_pct, billing_cycle, spent_yen, budget_yen
FROM am_credit_spending_alert
WHERE wallet_id = :wallet_id AND (CAST(:cycle AS TEXT) IS NULL OR billing_cycle = :cycle)
ORDER BY alert_id DESC;

-- previous: the entry after which :txn_id stands in its wallet's chain
SELECT prev_txn_id FROM am_credit_transaction_log WHERE txn_id = :txn_id AND wallet_id = :wallet_id;

-- lots: a wallet's open lots in spending order, as JSON
SELECT open_lots FROM am_credit_wallet WHERE wallet_id = :wallet_id;

-- due: wallets with holds or lots that have expired
SELECT wallet_id FROM am_credit_wallet WHERE next_due_at <= :at ORDER BY next_due_at LIMIT :limit;

-- ledger_balance_before: a wallet's ledger balance before an instant; the walk ends at the first entry that is older
WITH RECURSIVE chain AS (
    SELECT txn_id, wallet_id, prev_txn_id, occurred_at, ledger_balance_yen
    FROM am_credit_transaction_log WHERE txn_id = :start AND wallet_id = :wallet_id
    UNION ALL
    SELECT e.txn_id, e.wallet_id, e.prev_txn_id, e.occurred_at, e.ledger_balance_yen
    FROM chain c JOIN am_credit_transaction_log e ON e.txn_id = c.prev_txn_id AND e.wallet_id = c.wallet_id
    WHERE c.occurred_at >= :before
)
SELECT coalesce((SELECT ledger_balance_yen FROM chain WHERE occurred_at < :before LIMIT 1),
                (SELECT opening_yen FROM am_credit_wallet WHERE wallet_id = :wallet_id));

-- totals: sums over all wallets
SELECT count(*), coalesce(sum(balance_yen), 0), coalesce(sum(held_yen), 0), coalesce(sum(debt_yen), 0)
FROM am_credit_wallet;

-- key_owner: whose agent key it is
SELECT wallet_id FROM am_credit_key WHERE key_id = :key_id;

-- newest_entry_at: when the ledger was written last
SELECT occurred_at FROM am_credit_transaction_log ORDER BY txn_id DESC LIMIT 1;
