-- What all wallets have, and what each month brought in and took out (314). They run unchanged on every database.

-- counted: the last entry that months have been counted up to
SELECT last_txn_id FROM am_credit_counted WHERE counted = 'month_totals';

-- last_to_count: the last entry of the next :limit ones
SELECT max(txn_id)
FROM (SELECT txn_id FROM am_credit_transaction_log WHERE txn_id > :after AND txn_id <= :settled
      ORDER BY txn_id LIMIT :limit) AS next_entries;

-- moved: entries and what they moved, by month, type and cause: whole yen, and the micros that exact amounts have beyond or
-- short of them
SELECT substr(occurred_at, 1, 7), txn_type, coalesce(cause, ''), count(*), sum(amount_yen),
       coalesce(sum(CASE WHEN prev_txn_id IS NULL THEN NULL
       WHEN detail ->> 'micros' IS NOT NULL
       THEN CAST(detail ->> 'micros' AS BIGINT) - amount_yen * 1000000 END), 0)
FROM am_credit_transaction_log
WHERE txn_id > :after AND txn_id <= :last
GROUP BY 1, 2, 3;

-- count_up_to: note that entries have been counted, unless somebody else has
UPDATE am_credit_counted SET last_txn_id = :last WHERE counted = 'month_totals' AND last_txn_id = :after
RETURNING last_txn_id;

-- add: add to a month
INSERT INTO am_credit_month_total (month, txn_type, cause, entries, amount_yen, amount_fraction)
VALUES (:month, :txn_type, :cause, :entries, :amount_yen, :amount_fraction)
ON CONFLICT (month, txn_type, cause) DO UPDATE
SET entries = am_credit_month_total.entries + excluded.entries,
    amount_yen = am_credit_month_total.amount_yen + excluded.amount_yen
                 + (am_credit_month_total.amount_fraction + excluded.amount_fraction) / 1000000,
    amount_fraction = (am_credit_month_total.amount_fraction + excluded.amount_fraction) % 1000000;

-- month: the sums of a month
SELECT txn_type, cause, entries, amount_yen, amount_fraction FROM am_credit_month_total WHERE month = :month;

-- counted_to: when the last entry that was counted was made
SELECT occurred_at FROM am_credit_transaction_log WHERE txn_id = :txn_id;

-- wallets: the next wallets with what they have
SELECT wallet_id, enabled, closed_at, balance_yen, balance_fraction, balance_yen + held_yen, ledger_fraction, debt_yen,
       debt_fraction, open_lots
FROM am_credit_wallet
WHERE wallet_id > :after
ORDER BY wallet_id
LIMIT :limit;

-- put_totals: keep the count of all wallets
INSERT INTO am_credit_totals (totals_id, counted_at, figures) VALUES (1, :at, :figures)
ON CONFLICT (totals_id) DO UPDATE SET counted_at = excluded.counted_at, figures = excluded.figures;

-- totals: the latest count of all wallets
SELECT counted_at, figures FROM am_credit_totals;
