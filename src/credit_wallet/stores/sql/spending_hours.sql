-- What wallets spend by the hour. They run unchanged on every database.

-- counted: the last entry that hours have been counted up to
SELECT last_txn_id FROM am_credit_counted WHERE counted = 'hour_spend';

-- last_to_count: the last entry of the next :limit ones
SELECT max(txn_id)
FROM (SELECT txn_id FROM am_credit_transaction_log WHERE txn_id > :after AND txn_id <= :settled
      ORDER BY txn_id LIMIT :limit) AS next_entries;

-- spent_by_hour: spending of wallets in the hours of some entries
-- Its whole yen, and the micros that exact amounts have beyond or short of them; what is not backfilled has none.
SELECT wallet_id, substr(replace(occurred_at, ' ', 'T'), 1, 13), -sum(amount_yen),
       -coalesce(sum(CASE WHEN prev_txn_id IS NOT NULL
                          THEN CAST(detail ->> 'micros' AS BIGINT) - amount_yen * 1000000 END), 0)
FROM am_credit_transaction_log
WHERE txn_id > :after AND txn_id <= :last AND txn_type = 'charge'
  AND length(occurred_at) >= 13  -- plain SQL may have written a date without a time
GROUP BY 1, 2
ORDER BY 1, 2;

-- count_up_to: note that entries have been counted, unless somebody else has
UPDATE am_credit_counted SET last_txn_id = :last WHERE counted = 'hour_spend' AND last_txn_id = :after
RETURNING last_txn_id;

-- add_to_hour: add to a wallet's spending in an hour
INSERT INTO am_credit_hour_spend (wallet_id, hour, spent_yen, spent_fraction)
VALUES (:wallet_id, :hour, :spent_yen, :spent_fraction)
ON CONFLICT (wallet_id, hour) DO UPDATE
SET spent_yen = am_credit_hour_spend.spent_yen + excluded.spent_yen
                + (am_credit_hour_spend.spent_fraction + excluded.spent_fraction) / 1000000,
    spent_fraction = (am_credit_hour_spend.spent_fraction + excluded.spent_fraction) % 1000000;

-- prune_hours: delete hours that are no longer compared with
DELETE FROM am_credit_hour_spend WHERE hour < :since;

-- spent_in_hour: wallets that spent :min_yen or more in an hour that nothing was emitted of, and in how many hours since
-- :since they have spent how much
SELECT h.wallet_id, h.spent_yen, h.spent_fraction, count(u.hour), coalesce(sum(u.spent_yen), 0),
       coalesce(sum(u.spent_fraction), 0)
FROM am_credit_hour_spend h
LEFT JOIN am_credit_hour_spend u ON u.wallet_id = h.wallet_id AND u.hour >= :since AND u.hour < :hour
WHERE h.hour = :hour AND h.spent_yen >= :min_yen
  AND NOT EXISTS (SELECT 1 FROM am_credit_outbox e WHERE e.wallet_id = h.wallet_id AND e.dedupe_key = :dedupe_key)
GROUP BY h.wallet_id, h.spent_yen, h.spent_fraction
ORDER BY h.wallet_id;
