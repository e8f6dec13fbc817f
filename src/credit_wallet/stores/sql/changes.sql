-- Looks at whether something has changed: each is one statement of look-ups by indexes, whatever the size of the ledger.

-- of_wallet: what differs after every change of a wallet: its row, its acts (settings, keys, budgets, targets), its newest
-- top-ups and notices, and whether its usage has been counted to the end
SELECT w.last_txn_id, w.balance_yen, w.balance_fraction, w.held_yen, w.ledger_fraction, w.debt_yen, w.debt_fraction,
       w.updated_at, w.next_due_at, w.exhausted, w.enabled,
       (SELECT max(act_id) FROM am_credit_act WHERE wallet_id = w.wallet_id),
       (SELECT max(updated_at || status) FROM (
           SELECT updated_at, status FROM am_credit_topup WHERE wallet_id = w.wallet_id
           ORDER BY created_at DESC LIMIT 20) AS newest),
       (SELECT max(delivery_id) FROM am_credit_delivery WHERE wallet_id = w.wallet_id),
       (SELECT max(expires_at) FROM am_credit_hold WHERE wallet_id = w.wallet_id AND status = 'open'),
       (SELECT CASE WHEN c.last_txn_id < w.last_txn_id THEN 0 ELSE 1 END FROM am_credit_counted c
        WHERE c.counted = 'usage')
FROM am_credit_wallet w
WHERE w.wallet_id = :wallet_id;

-- of_ledger: the same of the whole ledger: its last entry, act, hold and event, its newest top-ups, notices that were given
-- up, and the sums of all wallets
SELECT (SELECT max(txn_id) FROM am_credit_transaction_log), (SELECT max(act_id) FROM am_credit_act),
       (SELECT max(hold_id) FROM am_credit_hold), (SELECT max(event_id) FROM am_credit_outbox),
       (SELECT max(event_id) FROM am_credit_topup_history),
       (SELECT max(delivery_id) FROM am_credit_delivery WHERE status = 'dead'),
       (SELECT max(counted_at) FROM am_credit_totals),
       (SELECT last_txn_id FROM am_credit_counted WHERE counted = 'quarter_totals');
