-- What is recorded by billing cycle, against the dates of the entries.

-- current_cycle: a wallet with entries, and an agent key that has spent, is in a billing cycle
SELECT wallet_id, 1, 0 FROM am_credit_wallet
WHERE last_txn_id > 0 AND (current_cycle IS NULL OR current_cycle NOT LIKE '____-__')
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_key
WHERE (cycle_spent_yen <> 0 OR cycle_spent_fraction <> 0) AND (current_cycle IS NULL OR current_cycle NOT LIKE '____-__');

-- recorded_cycles: the cycles that anything is recorded for, by time zone, and those of the wallets' last entries
SELECT DISTINCT w.time_zone, w.current_cycle FROM am_credit_wallet w WHERE w.current_cycle IS NOT NULL
UNION
SELECT DISTINCT w.time_zone, substr(e.occurred_at, 1, 7)
FROM am_credit_wallet w JOIN am_credit_transaction_log e ON e.txn_id = w.last_txn_id AND e.wallet_id = w.wallet_id
UNION
SELECT DISTINCT w.time_zone, k.current_cycle
FROM am_credit_key k JOIN am_credit_wallet w ON w.wallet_id = k.wallet_id
WHERE k.current_cycle IS NOT NULL
UNION
SELECT DISTINCT w.time_zone, s.billing_cycle
FROM am_credit_cycle_spend s JOIN am_credit_wallet w ON w.wallet_id = s.wallet_id
UNION
SELECT DISTINCT w.time_zone, s.billing_cycle
FROM am_credit_cycle_segment s JOIN am_credit_wallet w ON w.wallet_id = s.wallet_id;

-- spending: a wallet's charges, as plain SQL may have dated them, and what is recorded by cycle of it (key 0) and its keys
SELECT 0 AS is_record, occurred_at, key_id, -amount_yen, -(beyond(e)) FROM am_credit_transaction_log e
WHERE wallet_id = :wallet_id AND txn_type = 'charge'
UNION ALL
SELECT 1, coalesce(current_cycle, ''), 0, cycle_spent_yen, cycle_spent_fraction FROM am_credit_wallet
WHERE wallet_id = :wallet_id
UNION ALL
SELECT 1, coalesce(current_cycle, ''), key_id, cycle_spent_yen, cycle_spent_fraction FROM am_credit_key
WHERE wallet_id = :wallet_id
UNION ALL
SELECT 1, s.billing_cycle, s.key_id, s.spent_yen, s.spent_fraction
FROM am_credit_cycle_spend s
JOIN am_credit_wallet w ON w.wallet_id = s.wallet_id
LEFT JOIN am_credit_key k ON k.key_id = s.key_id
WHERE s.wallet_id = :wallet_id
  AND s.billing_cycle <> coalesce(CASE WHEN s.key_id = 0 THEN w.current_cycle ELSE k.current_cycle END, '');

-- moved_in_cycle: what entries dated in a cycle spent and changed; begins each of the three below
WITH moved AS MATERIALIZED (
    SELECT wallet_id, key_id, sum(CASE WHEN txn_type = 'charge' THEN -amount_yen ELSE 0 END) AS spent_yen,
           sum(CASE WHEN txn_type = 'charge' THEN -(beyond(e)) ELSE 0 END) AS spent_beyond,
           sum(amount_yen) AS net_yen, sum(beyond(e)) AS net_beyond, min(prev_txn_id) AS after_txn_id,
           max(txn_id) AS last_txn_id
    FROM am_credit_transaction_log e
    WHERE replace(occurred_at, ' ', 'T') >= :cycle_start AND replace(occurred_at, ' ', 'T') < :cycle_end
    GROUP BY wallet_id, key_id
)

-- cycle_spend: spending recorded for a cycle is the sum of its charges
-- Like key_spend, it names wallets whose charges are to be counted by cycle_of to tell: plain SQL may write times otherwise
-- than the ledger does, with an offset say.
SELECT 'cycle_spend', w.wallet_id
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, exact(sum(spent_yen), sum(spent_beyond)) AS spent FROM moved GROUP BY wallet_id) c
       ON c.wallet_id = w.wallet_id
LEFT JOIN am_credit_cycle_spend s ON s.billing_cycle = :cycle AND s.wallet_id = w.wallet_id AND s.key_id = 0
WHERE w.time_zone = :time_zone
  AND coalesce(c.spent, 0) <> CASE WHEN w.current_cycle = :cycle THEN exact(w.cycle_spent_yen, w.cycle_spent_fraction)
                                   ELSE coalesce(exact(s.spent_yen, s.spent_fraction), 0) END

-- key_spend: an agent key's spending recorded for a cycle is the sum of its charges
SELECT 'key_spend', k.wallet_id
FROM am_credit_key k
JOIN am_credit_wallet w ON w.wallet_id = k.wallet_id
LEFT JOIN moved c ON c.wallet_id = k.wallet_id AND c.key_id = k.key_id
LEFT JOIN am_credit_cycle_spend s
       ON s.billing_cycle = :cycle AND s.wallet_id = k.wallet_id AND s.key_id = k.key_id
WHERE w.time_zone = :time_zone
  AND coalesce(exact(c.spent_yen, c.spent_beyond), 0) <>
      CASE WHEN k.current_cycle = :cycle THEN exact(k.cycle_spent_yen, k.cycle_spent_fraction)
           ELSE coalesce(exact(s.spent_yen, s.spent_fraction), 0) END

-- cycles: the entries of each segment are of its cycle, and the ledger closes it with what it closes with
-- Names wallets whose chain is to be walked to tell: those with one segment of a cycle that has just what is dated in it
-- are in order.
SELECT 'cycles', w.wallet_id
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, exact(sum(net_yen), sum(net_beyond)) AS net, min(after_txn_id) AS after_txn_id,
                  max(last_txn_id) AS last_txn_id
           FROM moved GROUP BY wallet_id) m ON m.wallet_id = w.wallet_id
LEFT JOIN (SELECT wallet_id, count(*) AS segments, exact(sum(net_yen), sum(net_fraction)) AS net,
                  min(after_txn_id) AS after_txn_id, max(last_txn_id) AS last_txn_id
           FROM (SELECT s.wallet_id, s.last_txn_id, coalesce(p.last_txn_id, 0) AS after_txn_id,
                        s.closing_yen - coalesce(p.closing_yen, o.opening_yen) AS net_yen,
                        s.closing_fraction - coalesce(p.closing_fraction, 0) AS net_fraction
                 FROM am_credit_cycle_segment s JOIN am_credit_wallet o ON o.wallet_id = s.wallet_id
                 LEFT JOIN am_credit_cycle_segment p ON p.wallet_id = s.wallet_id AND p.segment_no =
                      (SELECT max(segment_no) FROM am_credit_cycle_segment b
                       WHERE b.wallet_id = s.wallet_id AND b.segment_no < s.segment_no)
                 WHERE s.billing_cycle = :cycle AND o.time_zone = :time_zone
                 UNION ALL
                 SELECT o.wallet_id, o.last_txn_id, coalesce(p.last_txn_id, 0),
                        o.balance_yen + o.held_yen - coalesce(p.closing_yen, o.opening_yen),
                        o.ledger_fraction - coalesce(p.closing_fraction, 0)
                 FROM am_credit_wallet o
                 LEFT JOIN am_credit_cycle_segment p ON p.wallet_id = o.wallet_id AND p.segment_no =
                      (SELECT max(segment_no) FROM am_credit_cycle_segment b WHERE b.wallet_id = o.wallet_id)
                 WHERE o.current_cycle = :cycle AND o.time_zone = :time_zone) segment
           WHERE last_txn_id <> after_txn_id
           GROUP BY wallet_id) b ON b.wallet_id = w.wallet_id
WHERE w.time_zone = :time_zone
  AND (m.net IS DISTINCT FROM b.net OR m.after_txn_id IS DISTINCT FROM b.after_txn_id
       OR m.last_txn_id IS DISTINCT FROM b.last_txn_id OR b.segments > 1)
