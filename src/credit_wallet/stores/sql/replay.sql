-- span: the first and the last entry of the ledger
SELECT min(txn_id), max(txn_id) FROM am_credit_transaction_log;

-- entries: the entries of a span of ids in order, of one wallet or of all (0), with what was refunded of them since, and
-- with what their wallet and agent key are now. Instants of the ledger compare as text
SELECT e.txn_id, e.wallet_id, e.txn_type, e.occurred_at, e.amount_yen, e.ledger_balance_yen, e.key_id, e.related_txn_id,
       CASE WHEN e.prev_txn_id IS NOT NULL THEN CAST(e.detail AS TEXT) END, r.returned_yen, r.returned_fraction,
       e.hold_id, h.captured_yen + h.above_yen, h.captured_fraction + h.above_fraction,
       w.time_zone, w.price_group, k.key_group
FROM am_credit_transaction_log e
JOIN am_credit_wallet w ON w.wallet_id = e.wallet_id
LEFT JOIN am_credit_key k ON k.key_id = e.key_id AND k.wallet_id = e.wallet_id
LEFT JOIN am_credit_returned r ON e.txn_type = 'charge' AND r.wallet_id = e.wallet_id AND r.txn_id = e.txn_id
LEFT JOIN am_credit_hold h ON h.hold_id = e.hold_id AND h.wallet_id = e.wallet_id
WHERE e.txn_id > :after AND e.txn_id <= :last
  AND (:wallet_id = 0 OR e.wallet_id = :wallet_id) AND e.occurred_at >= :since AND e.occurred_at < :until
ORDER BY e.txn_id;

-- monthly: the monthly budgets that stop spending, by wallet
SELECT wallet_id, monthly_budget_yen FROM am_credit_wallet WHERE budget_mode = 'cap' AND monthly_budget_yen > 0;

-- caps: the monthly caps of agent keys
SELECT key_id, monthly_cap_yen FROM am_credit_key WHERE monthly_cap_yen > 0;

-- budgets: the budgets of a wallet, or of all (0), by id
SELECT budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone,
       week_start, raised_whole, raised_fraction, raised_until, created_at
FROM am_credit_budget
WHERE deleted_at IS NULL AND (:wallet_id = 0 OR wallet_id = :wallet_id)
ORDER BY budget_id;
