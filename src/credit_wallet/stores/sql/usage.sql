-- What charges were for, by hour, day and month (298). They run unchanged on every database.
-- The detail of an entry that is not backfilled yet does not count: plain SQL wrote it.

-- counted: the last entry that usage has been counted up to
SELECT last_txn_id FROM am_credit_counted WHERE counted = 'usage';

-- last_to_count: the last entry of the next :limit ones
SELECT max(txn_id)
FROM (SELECT txn_id FROM am_credit_transaction_log WHERE txn_id > :after AND txn_id <= :settled
      ORDER BY txn_id LIMIT :limit) AS next_entries;

-- may_say: whether any wallet has usage, or some entries may say who paid or what for; spares the statements below
SELECT EXISTS (SELECT 1 FROM am_credit_usage_start)
    OR EXISTS (SELECT 1 FROM am_credit_transaction_log
               WHERE txn_id > :after AND txn_id <= :last AND (key_id IS NOT NULL OR detail IS NOT NULL));

-- begin_with: the first charge of each wallet among some entries that says who paid or what for
SELECT e.wallet_id, min(e.txn_id) AS first_txn_id
FROM am_credit_transaction_log e
WHERE e.txn_id > :after AND e.txn_id <= :last AND e.txn_type = 'charge'
  AND (e.key_id IS NOT NULL
       OR (e.detail IS NOT NULL AND e.prev_txn_id IS NOT NULL
           AND (e.detail ->> 'item' IS NOT NULL OR e.detail ->> 'facts' IS NOT NULL
                OR e.detail ->> 'agent_facts' IS NOT NULL)))
GROUP BY e.wallet_id

-- beginnings: those of them with which the usage of their wallets begins
SELECT b.wallet_id, b.first_txn_id
FROM (begin_with) b
WHERE NOT EXISTS (SELECT 1 FROM am_credit_usage_start k WHERE k.wallet_id = b.wallet_id)

-- wrong_beginnings: beginnings on record that are not those of these entries: wallet, what should be, what is
SELECT coalesce(b.wallet_id, k.wallet_id), b.first_txn_id, k.first_txn_id
FROM (begin_with) b
FULL JOIN (SELECT wallet_id, first_txn_id FROM am_credit_usage_start
           WHERE first_txn_id > :after AND first_txn_id <= :last) k ON k.wallet_id = b.wallet_id
WHERE k.first_txn_id IS DISTINCT FROM b.first_txn_id
  AND (k.wallet_id IS NOT NULL
       OR NOT EXISTS (SELECT 1 FROM am_credit_usage_start e WHERE e.wallet_id = b.wallet_id AND e.first_txn_id <= :after))

-- moved: charges and refunds of these entries from their wallets' beginnings on, those alike added up: within a quarter of
-- an hour, in which every zone of today stays in one hour. A refund counts for what its charge was for. Amounts add up in
-- yen and in the micros beyond
SELECT m.wallet_id, w.time_zone, m.at, m.key_id, m.item, m.facts, m.agent_facts, sum(m.charges),
       sum(m.quantity / 1000000), sum(m.quantity % 1000000),
       sum(CASE WHEN m.charges = 1 THEN -m.yen ELSE 0 END), sum(CASE WHEN m.charges = 1 THEN -m.fraction ELSE 0 END),
       sum(CASE WHEN m.charges = 0 THEN m.yen ELSE 0 END), sum(CASE WHEN m.charges = 0 THEN m.fraction ELSE 0 END)
FROM (SELECT s.wallet_id, s.key_id, s.item, s.facts, s.agent_facts,
             CASE WHEN length(s.occurred_at) = 24 AND substr(s.occurred_at, 24) = 'Z' AND s.occurred_at >= '1973'
                  THEN substr(s.occurred_at, 1, 14) || CASE WHEN substr(s.occurred_at, 15, 2) < '15' THEN '00'
                                                            WHEN substr(s.occurred_at, 15, 2) < '30' THEN '15'
                                                            WHEN substr(s.occurred_at, 15, 2) < '45' THEN '30'
                                                            ELSE '45' END
                  ELSE s.occurred_at END AS at,
             CASE WHEN s.txn_type = 'charge' THEN 1 ELSE 0 END AS charges,
             CASE WHEN s.txn_type = 'charge' THEN coalesce(CAST(s.detail ->> 'quantity' AS BIGINT), 0) ELSE 0 END AS quantity,
             coalesce(CAST(s.detail ->> 'micros' AS BIGINT) / 1000000, s.amount_yen) AS yen,
             coalesce(CAST(s.detail ->> 'micros' AS BIGINT) % 1000000, 0) AS fraction
      FROM (SELECT e.wallet_id, e.txn_type, e.occurred_at, e.amount_yen, e.detail,
                   CASE WHEN e.txn_type = 'charge' THEN e.key_id ELSE paid.key_id END AS key_id,
                   CASE WHEN e.txn_type = 'charge' THEN e.detail ->> 'item'
                        WHEN paid.prev_txn_id IS NOT NULL THEN paid.detail ->> 'item' END AS item,
                   CASE WHEN e.txn_type = 'charge' THEN e.detail ->> 'facts'
                        WHEN paid.prev_txn_id IS NOT NULL THEN paid.detail ->> 'facts' END AS facts,
                   CASE WHEN e.txn_type = 'charge' THEN e.detail ->> 'agent_facts'
                        WHEN paid.prev_txn_id IS NOT NULL THEN paid.detail ->> 'agent_facts' END AS agent_facts
            FROM (SELECT txn_id, wallet_id, txn_type, occurred_at, amount_yen, key_id, related_txn_id,
                         CASE WHEN prev_txn_id IS NOT NULL THEN detail END AS detail
                  FROM am_credit_transaction_log
                  WHERE txn_id > :after AND txn_id <= :last AND txn_type IN ('charge', 'refund')) e
            JOIN am_credit_usage_start k ON k.wallet_id = e.wallet_id AND e.txn_id >= k.first_txn_id
            LEFT JOIN am_credit_transaction_log paid
                   ON e.txn_type = 'refund' AND paid.txn_id = e.related_txn_id AND paid.wallet_id = e.wallet_id
                  AND paid.txn_type = 'charge') s) m
JOIN am_credit_wallet w ON w.wallet_id = m.wallet_id
GROUP BY m.wallet_id, w.time_zone, m.at, m.key_id, m.item, m.facts, m.agent_facts;

-- count_up_to: note that entries have been counted, unless somebody else has
UPDATE am_credit_counted SET last_txn_id = :last WHERE counted = 'usage' AND last_txn_id = :after
RETURNING last_txn_id;

-- begin: note where a wallet's usage begins
INSERT INTO am_credit_usage_start (wallet_id, first_txn_id) VALUES (:wallet_id, :first_txn_id);

-- add: add :sums to the sums of periods
INSERT INTO am_credit_usage AS u
       (wallet_id, every, dimension, key_id, period, value, charges, item, quantity_units, quantity_fraction,
        amount_yen, amount_fraction, refunded_yen, refunded_fraction)
SELECT CAST(part.value ->> 0 AS BIGINT), part.value ->> 1, part.value ->> 2, CAST(part.value ->> 3 AS BIGINT),
       part.value ->> 4, part.value ->> 5, CAST(part.value ->> 6 AS BIGINT), part.value ->> 7,
       CAST(part.value ->> 8 AS BIGINT), CAST(part.value ->> 9 AS BIGINT), CAST(part.value ->> 10 AS BIGINT),
       CAST(part.value ->> 11 AS BIGINT), CAST(part.value ->> 12 AS BIGINT), CAST(part.value ->> 13 AS BIGINT)
FROM json_each(sums) part
WHERE TRUE
ON CONFLICT (wallet_id, every, dimension, key_id, period, value) DO UPDATE SET
    charges = u.charges + excluded.charges,
    item = CASE WHEN u.item = excluded.item AND u.quantity_units < 9000000000000000000 THEN u.item ELSE '*' END,
    quantity_units = CASE WHEN u.item = excluded.item AND u.quantity_units < 9000000000000000000
                          THEN u.quantity_units + excluded.quantity_units
                               + (u.quantity_fraction + excluded.quantity_fraction) / 1000000
                          ELSE 0 END,
    quantity_fraction = CASE WHEN u.item = excluded.item AND u.quantity_units < 9000000000000000000
                             THEN (u.quantity_fraction + excluded.quantity_fraction) % 1000000
                             ELSE 0 END,
    amount_yen = u.amount_yen + excluded.amount_yen + (u.amount_fraction + excluded.amount_fraction) / 1000000,
    amount_fraction = (u.amount_fraction + excluded.amount_fraction) % 1000000,
    refunded_yen = u.refunded_yen + excluded.refunded_yen + (u.refunded_fraction + excluded.refunded_fraction) / 1000000,
    refunded_fraction = (u.refunded_fraction + excluded.refunded_fraction) % 1000000;

-- sums: every sum, in the order of the key, after one
SELECT wallet_id, every, dimension, key_id, period, value, charges, item, quantity_units, quantity_fraction, amount_yen,
       amount_fraction, refunded_yen, refunded_fraction
FROM am_credit_usage
WHERE (wallet_id, every, dimension, key_id, period, value) > (:wallet_id, :every, :dimension, :key_id, :period, :value)
ORDER BY wallet_id, every, dimension, key_id, period, value
LIMIT :limit;

-- later_beginnings: beginnings after everything that is counted
SELECT wallet_id, first_txn_id FROM am_credit_usage_start WHERE first_txn_id > :last;

-- added: what the sums of each wallet, length of period, dimension and agent key add up to: of all values, of each value
SELECT wallet_id, every, dimension, key_id,
       sum(CASE WHEN value = '' THEN charges ELSE 0 END), sum(CASE WHEN value = '' THEN amount_yen ELSE 0 END),
       sum(CASE WHEN value = '' THEN amount_fraction ELSE 0 END), sum(CASE WHEN value = '' THEN refunded_yen ELSE 0 END),
       sum(CASE WHEN value = '' THEN refunded_fraction ELSE 0 END),
       sum(CASE WHEN value = '' THEN 0 ELSE charges END), sum(CASE WHEN value = '' THEN 0 ELSE amount_yen END),
       sum(CASE WHEN value = '' THEN 0 ELSE amount_fraction END), sum(CASE WHEN value = '' THEN 0 ELSE refunded_yen END),
       sum(CASE WHEN value = '' THEN 0 ELSE refunded_fraction END)
FROM am_credit_usage
GROUP BY wallet_id, every, dimension, key_id;

-- spent: what each wallet with usage was charged and refunded since its beginning, up to what is counted
SELECT e.wallet_id, sum(CASE WHEN e.txn_type = 'charge' THEN 1 ELSE 0 END),
       sum(CASE WHEN e.txn_type = 'charge' THEN -yen(e) ELSE 0 END),
       sum(CASE WHEN e.txn_type = 'charge' THEN -fraction(e) ELSE 0 END),
       sum(CASE WHEN e.txn_type = 'charge' THEN 0 ELSE yen(e) END),
       sum(CASE WHEN e.txn_type = 'charge' THEN 0 ELSE fraction(e) END)
FROM am_credit_transaction_log e
JOIN am_credit_usage_start k ON k.wallet_id = e.wallet_id AND e.txn_id >= k.first_txn_id
WHERE e.txn_id <= :last AND e.txn_type IN ('charge', 'refund')
GROUP BY e.wallet_id;
