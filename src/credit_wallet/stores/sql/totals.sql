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

-- counted_quarters: the last entry that quarters of an hour have been counted up to
SELECT last_txn_id FROM am_credit_counted WHERE counted = 'quarter_totals';

-- moved_in_quarters: entries dated from :since on and what they moved, by quarter of an hour, type, cause and kind of credit
-- that came in, as ``moved``
SELECT replace(substr(e.occurred_at, 1, 14), ' ', 'T')
       || CASE WHEN substr(e.occurred_at, 15, 2) < '15' THEN '00' WHEN substr(e.occurred_at, 15, 2) < '30' THEN '15'
               WHEN substr(e.occurred_at, 15, 2) < '45' THEN '30' ELSE '45' END,
       e.txn_type, coalesce(e.cause, ''), coalesce(l.kind, ''), count(*), sum(e.amount_yen),
       coalesce(sum(CASE WHEN e.prev_txn_id IS NULL THEN NULL
       WHEN e.detail ->> 'micros' IS NOT NULL
       THEN CAST(e.detail ->> 'micros' AS BIGINT) - e.amount_yen * 1000000 END), 0)
FROM am_credit_transaction_log e
LEFT JOIN am_credit_lot l ON e.txn_type = 'topup' AND l.wallet_id = e.wallet_id AND l.lot_id = e.txn_id
WHERE e.txn_id > :after AND e.txn_id <= :last AND e.occurred_at >= :since
GROUP BY 1, 2, 3, 4;

-- count_quarters_up_to: note that entries have been counted, unless somebody else has
UPDATE am_credit_counted SET last_txn_id = :last WHERE counted = 'quarter_totals' AND last_txn_id = :after
RETURNING last_txn_id;

-- add_to_quarter: add to a quarter of an hour
INSERT INTO am_credit_quarter_total (quarter, txn_type, cause, kind, entries, amount_yen, amount_fraction)
VALUES (:quarter, :txn_type, :cause, :kind, :entries, :amount_yen, :amount_fraction)
ON CONFLICT (quarter, txn_type, cause, kind) DO UPDATE
SET entries = am_credit_quarter_total.entries + excluded.entries,
    amount_yen = am_credit_quarter_total.amount_yen + excluded.amount_yen
                 + (am_credit_quarter_total.amount_fraction + excluded.amount_fraction) / 1000000,
    amount_fraction = (am_credit_quarter_total.amount_fraction + excluded.amount_fraction) % 1000000;

-- prune_quarters: forget the quarters before :since
DELETE FROM am_credit_quarter_total WHERE quarter < :since;

-- quarters: the sums of quarters of an hour from :since on
SELECT quarter, txn_type, cause, kind, entries, amount_yen, amount_fraction
FROM am_credit_quarter_total
WHERE quarter >= :since
ORDER BY quarter;

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
