-- Pages of what charges were for. Each begins at a period and a value and reads up to :limit rows of the sums, whatever the
-- ledger's length.

-- counted_to: up to which entry usage is counted, when that one was written, a wallet's last entry, and when the first counted was written
SELECT c.last_txn_id, e.occurred_at, (SELECT last_txn_id FROM am_credit_wallet WHERE wallet_id = :wallet_id),
       (SELECT f.occurred_at FROM am_credit_usage_start s
        JOIN am_credit_transaction_log f ON f.txn_id = s.first_txn_id WHERE s.wallet_id = :wallet_id)
FROM am_credit_counted c
LEFT JOIN am_credit_transaction_log e ON e.txn_id = c.last_txn_id
WHERE c.counted = 'usage';

-- values: in each period what all charges add up to (1), and of a dimension those that have it and those of each value; of
-- the whole wallet (0), or of an agent key
SELECT * FROM (
    SELECT * FROM (
        SELECT period, 1 AS everything, '' AS value, charges, item, quantity_units, quantity_fraction, amount_yen,
               amount_fraction, refunded_yen, refunded_fraction
        FROM am_credit_usage
        WHERE wallet_id = :wallet_id AND every = :every AND dimension = '' AND key_id = :key_id
          AND period >= :period AND period <= :last
        ORDER BY period LIMIT :limit) AS totals
    UNION ALL
    SELECT * FROM (
        SELECT period, 0, value, charges, item, quantity_units, quantity_fraction, amount_yen, amount_fraction,
               refunded_yen, refunded_fraction
        FROM am_credit_usage
        WHERE wallet_id = :wallet_id AND every = :every AND dimension = :dimension AND key_id = :key_id
          AND period <= :last AND (period, value) >= (:period, :value)
        ORDER BY period, value LIMIT :limit) AS of_dimension) AS parts
ORDER BY period, everything DESC, value
LIMIT :limit;
