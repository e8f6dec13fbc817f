-- Pages of what charges were for. Each begins at a period and a value and reads up to :most rows of the sums, whatever the
-- ledger's length.

-- counted_to: up to which entry usage is counted, when that one was written, a wallet's last entry, and when the first counted was written
SELECT c.last_txn_id, e.occurred_at, (SELECT last_txn_id FROM am_credit_wallet WHERE wallet_id = :wallet_id),
       (SELECT f.occurred_at FROM am_credit_usage_start s
        JOIN am_credit_transaction_log f ON f.txn_id = s.first_txn_id WHERE s.wallet_id = :wallet_id)
FROM am_credit_counted c
LEFT JOIN am_credit_transaction_log e ON e.txn_id = c.last_txn_id
WHERE c.counted = 'usage';

-- values: in each period what all charges add up to (1), and of a dimension those that have it and those of each value. Of
-- other agent keys than :key_id, when there is one, nothing is added up or named
SELECT period, everything, value, sum(charges * seen) AS charges,
       CASE WHEN min(CASE WHEN seen = 1 THEN item END) = max(CASE WHEN seen = 1 THEN item END)
            THEN min(CASE WHEN seen = 1 THEN item END) ELSE '*' END,
       max(quantity_units), sum(CASE WHEN quantity_units < :most_units THEN quantity_units * seen ELSE 0 END),
       sum(quantity_fraction * seen), sum(amount_yen * seen), sum(amount_fraction * seen), sum(refunded_yen * seen),
       sum(refunded_fraction * seen)
FROM (
    SELECT parts.*, CASE WHEN CAST(:key_id AS BIGINT) IS NULL OR key_id = :key_id THEN 1 ELSE 0 END AS seen
    FROM (SELECT * FROM (
              SELECT period, 1 AS everything, '' AS value, key_id, charges, item, quantity_units, quantity_fraction,
                     amount_yen, amount_fraction, refunded_yen, refunded_fraction
              FROM am_credit_usage
              WHERE wallet_id = :wallet_id AND every = :every AND dimension = '' AND period >= :period AND period <= :last
              ORDER BY period LIMIT :most) AS totals
          UNION ALL
          SELECT * FROM (
              SELECT period, 0, value, key_id, charges, item, quantity_units, quantity_fraction,
                     amount_yen, amount_fraction, refunded_yen, refunded_fraction
              FROM am_credit_usage
              WHERE wallet_id = :wallet_id AND every = :every AND dimension = :dimension AND period <= :last
                AND (period, value) >= (:period, :value)
              ORDER BY period, value LIMIT :most) AS of_dimension) AS parts) AS judged
GROUP BY period, everything, value
HAVING max(seen) = 1
ORDER BY period, everything DESC, value
LIMIT :limit;

-- keys: in each period what each agent key paid, and what was paid without one (key 0)
SELECT period, 0, key_id, charges, item, quantity_units, quantity_units, quantity_fraction, amount_yen, amount_fraction,
       refunded_yen, refunded_fraction
FROM am_credit_usage
WHERE wallet_id = :wallet_id AND every = :every AND dimension = '' AND period <= :last
  AND (period, key_id) >= (:period, CAST(:value AS BIGINT))
ORDER BY period, value, key_id
LIMIT :limit;

-- beyond: where the rows begin that :most do not reach
SELECT period, value FROM (
    SELECT period, value FROM am_credit_usage
    WHERE wallet_id = :wallet_id AND every = :every AND dimension = '' AND period >= :period AND period <= :last
    ORDER BY period LIMIT 1 OFFSET :most) AS totals
UNION ALL
SELECT period, value FROM (
    SELECT period, value FROM am_credit_usage
    WHERE wallet_id = :wallet_id AND every = :every AND dimension = :dimension AND period <= :last
      AND (period, value) >= (:period, :value)
    ORDER BY period, value LIMIT 1 OFFSET :most) AS of_dimension
ORDER BY 1, 2
LIMIT 1;
