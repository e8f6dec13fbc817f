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

-- month: what a wallet was charged in one month, in all, by agent key and by item: of the whole wallet, and of one agent key;
-- with the entry that usage begins with, and the one up to which it is counted. One statement, so all is of one moment
WITH wanted (dimension, key_id) AS (
    SELECT '', CAST(0 AS BIGINT)
    UNION SELECT '.key', CAST(0 AS BIGINT)
    UNION SELECT '', CAST(:key_id AS BIGINT)
    UNION SELECT '.item', CAST(:key_id AS BIGINT)
)
SELECT c.last_txn_id, k.first_txn_id, u.dimension, u.key_id, u.value, u.charges, u.quantity_units, u.quantity_fraction,
       u.amount_yen, u.amount_fraction, u.refunded_yen, u.refunded_fraction
FROM am_credit_counted c
JOIN am_credit_usage_start k ON k.wallet_id = :wallet_id
CROSS JOIN wanted
JOIN am_credit_usage u ON u.wallet_id = k.wallet_id AND u.every = 'month' AND u.dimension = wanted.dimension
                      AND u.key_id = wanted.key_id AND u.period = :month
WHERE c.counted = 'usage';

-- charged: what a wallet was charged in a cycle, as its row and those of the cycles that it has left say it
SELECT CASE WHEN w.current_cycle = :cycle THEN w.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END,
       CASE WHEN w.current_cycle = :cycle THEN w.cycle_spent_fraction ELSE coalesce(s.spent_fraction, 0) END
FROM am_credit_wallet w
LEFT JOIN am_credit_cycle_spend s ON s.billing_cycle = :cycle AND s.wallet_id = w.wallet_id AND s.key_id = 0
WHERE w.wallet_id = :wallet_id;

-- credits: up to :limit of the entries by which credit came in, after an entry and up to another, with their causes
SELECT e.cause, e.related_txn_id IS NOT NULL, e.amount_yen, CAST(e.detail ->> 'micros' AS BIGINT)
FROM am_credit_lot l
JOIN am_credit_transaction_log e ON e.txn_id = l.lot_id AND e.wallet_id = l.wallet_id AND e.txn_type = 'topup'
WHERE l.wallet_id = :wallet_id AND l.lot_id > :after AND l.lot_id <= :last
ORDER BY l.lot_id
LIMIT :limit;
