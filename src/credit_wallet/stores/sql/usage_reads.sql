-- Pages of what charges were for. Each begins at a period and a value, and is bounded whatever the ledger's length.

-- counted_to: up to which entry usage is counted, when that one was written, and a wallet's last entry
SELECT c.last_txn_id, e.occurred_at, (SELECT last_txn_id FROM am_credit_wallet WHERE wallet_id = :wallet_id)
FROM am_credit_counted c
LEFT JOIN am_credit_transaction_log e ON e.txn_id = c.last_txn_id
WHERE c.counted = 'usage';

-- hours: a page of hours: in each what all charges add up to (1), those with the dimension, and those of each value
SELECT * FROM (
    SELECT * FROM (
        SELECT hour, 1 AS everything, value, charges, item, quantity_units, quantity_fraction, amount_yen, amount_fraction,
               refunded_yen, refunded_fraction
        FROM am_credit_usage_hour
        WHERE wallet_id = :wallet_id AND key_id = :key_id AND dimension = '' AND hour >= :period AND hour <= :last
        ORDER BY hour LIMIT :limit) AS totals
    UNION ALL
    SELECT * FROM (
        SELECT hour, 0, value, charges, item, quantity_units, quantity_fraction, amount_yen, amount_fraction,
               refunded_yen, refunded_fraction
        FROM am_credit_usage_hour
        WHERE wallet_id = :wallet_id AND key_id = :key_id AND dimension = :dimension AND hour <= :last
          AND (hour, value) >= (:period, :value)
        ORDER BY hour, value LIMIT :limit) AS parts) AS page
ORDER BY 1, 2 DESC, 3;

-- months: months from the days that they have, up to :limit days of values; how many those were comes with each
SELECT substr(day, 1, 7), everything, value, sum(charges), CASE WHEN min(item) = max(item) THEN min(item) ELSE '*' END,
       sum(CASE WHEN quantity_units < 20000000000000000 THEN quantity_units ELSE 0 END), sum(quantity_fraction),
       sum(amount_yen), sum(amount_fraction), sum(refunded_yen), sum(refunded_fraction), max(quantity_units),
       count(*)
FROM (
    SELECT day, 1 AS everything, value, charges, item, quantity_units, quantity_fraction, amount_yen, amount_fraction,
           refunded_yen, refunded_fraction
    FROM am_credit_usage_day
    WHERE wallet_id = :wallet_id AND key_id = :key_id AND dimension = '' AND day >= :first AND day <= :last
    UNION ALL
    SELECT * FROM (
        SELECT day, 0, value, charges, item, quantity_units, quantity_fraction, amount_yen, amount_fraction,
               refunded_yen, refunded_fraction
        FROM am_credit_usage_day
        WHERE wallet_id = :wallet_id AND key_id = :key_id AND dimension = :dimension AND day >= :first AND day <= :last
        ORDER BY day, value LIMIT :limit) AS parts) AS days
GROUP BY 1, 2, 3
ORDER BY 1, 2 DESC, 3;

-- values_of_day: one of the days that a page of a month's values is put together from
SELECT * FROM (
    SELECT value, charges, item, quantity_units, quantity_fraction, amount_yen, amount_fraction, refunded_yen,
           refunded_fraction
    FROM am_credit_usage_day
    WHERE wallet_id = :wallet_id AND key_id = :key_id AND dimension = :dimension AND day = :day AND value >= :value
    ORDER BY value LIMIT :limit) AS day_values

-- values_of_month: a page of a month's values, from as many of each of its days; ends the statement of those days
SELECT CAST(:month AS TEXT), 0, value, sum(charges), CASE WHEN min(item) = max(item) THEN min(item) ELSE '*' END,
       sum(CASE WHEN quantity_units < 20000000000000000 THEN quantity_units ELSE 0 END), sum(quantity_fraction),
       sum(amount_yen), sum(amount_fraction), sum(refunded_yen), sum(refunded_fraction), max(quantity_units),
       count(*)
FROM days
GROUP BY value
ORDER BY value
LIMIT :limit
