-- The invariants, each as a statement that returns the wallets that break it: wallet_id, what should be, what is.

-- conservation: opening balance and entries together are the balance and what is held
SELECT w.wallet_id, w.opening_yen + coalesce(e.total_yen, 0) AS expected_yen, w.balance_yen + w.held_yen AS found_yen
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, sum(amount_yen) AS total_yen FROM am_credit_transaction_log GROUP BY wallet_id) e
       ON e.wallet_id = w.wallet_id
WHERE w.opening_yen + coalesce(e.total_yen, 0) <> w.balance_yen + w.held_yen;

-- ownership: every entry belongs to a wallet
SELECT e.wallet_id, 0, count(*)
FROM am_credit_transaction_log e LEFT JOIN am_credit_wallet w ON w.wallet_id = e.wallet_id
WHERE w.wallet_id IS NULL
GROUP BY e.wallet_id;

-- chain: an entry follows one of its own wallet and carries that one's balance plus its own amount
SELECT e.wallet_id, p.ledger_balance_yen + e.amount_yen, e.ledger_balance_yen
FROM am_credit_transaction_log e LEFT JOIN am_credit_transaction_log p ON p.txn_id = e.prev_txn_id
WHERE e.prev_txn_id > 0
  AND (p.wallet_id IS NULL OR p.wallet_id <> e.wallet_id OR p.ledger_balance_yen + e.amount_yen <> e.ledger_balance_yen);

-- chain_start: the first entry carries the opening balance plus its own amount
SELECT e.wallet_id, w.opening_yen + e.amount_yen, e.ledger_balance_yen
FROM am_credit_transaction_log e JOIN am_credit_wallet w ON w.wallet_id = e.wallet_id
WHERE e.prev_txn_id = 0 AND w.opening_yen + e.amount_yen <> e.ledger_balance_yen;

-- chain_order: no two entries follow the same one
SELECT wallet_id, 1, count(*)
FROM am_credit_transaction_log
WHERE prev_txn_id IS NOT NULL
GROUP BY wallet_id, prev_txn_id
HAVING count(*) > 1;

-- chain_end: the wallet's row names the end of its chain, and the balance there is its own
SELECT w.wallet_id, w.balance_yen + w.held_yen, coalesce(e.ledger_balance_yen, w.opening_yen)
FROM am_credit_wallet w
LEFT JOIN am_credit_transaction_log e ON e.txn_id = w.last_txn_id AND e.wallet_id = w.wallet_id
WHERE coalesce(e.ledger_balance_yen, w.opening_yen) <> w.balance_yen + w.held_yen
   OR (w.last_txn_id > 0 AND e.txn_id IS NULL);

-- chain_length: the chain has all of the wallet's entries, so its end is named by none of them
SELECT e.wallet_id, 0, count(*)
FROM am_credit_transaction_log e JOIN am_credit_wallet w ON w.wallet_id = e.wallet_id
WHERE e.prev_txn_id = w.last_txn_id AND w.last_txn_id > 0
GROUP BY e.wallet_id;

-- lots: the open lots add up to the balance
SELECT w.wallet_id, w.balance_yen, coalesce(sum(json_extract(lot.value, '$[2]')), 0)
FROM am_credit_wallet w LEFT JOIN json_each(w.open_lots) lot
GROUP BY w.wallet_id
HAVING coalesce(sum(json_extract(lot.value, '$[2]')), 0) <> w.balance_yen;

-- lot_flow: what entries brought to and took from a lot, less what open holds keep of it, is what is left of it
WITH flow (wallet_id, lot_id, amount_yen) AS (
    SELECT e.wallet_id, json_extract(part.value, '$[0]'),
           json_extract(part.value, '$[1]') * CASE WHEN e.amount_yen > 0 THEN 1 ELSE -1 END
    FROM am_credit_transaction_log e, json_each(e.lots) part
    UNION ALL
    SELECT wallet_id, lot_id, granted_yen FROM am_credit_lot WHERE lot_id = 0
    UNION ALL
    SELECT h.wallet_id, json_extract(part.value, '$[0]'), -json_extract(part.value, '$[1]')
    FROM am_credit_hold h, json_each(h.lots) part
    WHERE h.status = 'open'
    UNION ALL
    SELECT w.wallet_id, json_extract(lot.value, '$[0]'), -json_extract(lot.value, '$[2]')
    FROM am_credit_wallet w, json_each(w.open_lots) lot
)
SELECT DISTINCT wallet_id, 0, sum(amount_yen)
FROM flow
GROUP BY wallet_id, lot_id
HAVING sum(amount_yen) <> 0;

-- lot_kinds: an open lot is of the kind that it was granted as, and ends when it was granted to
SELECT DISTINCT w.wallet_id, l.lot_id, json_extract(lot.value, '$[0]')
FROM am_credit_wallet w JOIN json_each(w.open_lots) lot
LEFT JOIN am_credit_lot l ON l.wallet_id = w.wallet_id AND l.lot_id = json_extract(lot.value, '$[0]')
                         AND l.kind = json_extract(lot.value, '$[1]')
                         AND coalesce(l.expires_at, '') = coalesce(json_extract(lot.value, '$[3]'), '')
WHERE l.lot_id IS NULL;

-- returned_lots: what comes again, or may, goes back to the lots it was taken from, and no more of each than was taken
WITH part (wallet_id, charge_id, lot_id, amount_yen) AS (
    SELECT e.wallet_id, CASE e.txn_type WHEN 'refund' THEN e.related_txn_id ELSE 0 END, json_extract(lot.value, '$[0]'),
           json_extract(lot.value, '$[1]')
    FROM am_credit_transaction_log e, json_each(e.lots) lot
    WHERE e.txn_type IN ('refund', 'topup') AND e.related_txn_id IS NOT NULL
      AND json_extract(lot.value, '$[0]') <> e.txn_id  -- what was short of lots has come as one of its own
    UNION ALL
    SELECT c.wallet_id, 0, json_extract(lot.value, '$[0]'), json_extract(lot.value, '$[1]')
    FROM am_credit_clawback c, json_each(c.taken) lot
), taken (wallet_id, charge_id, lot_id, amount_yen) AS (
    SELECT e.wallet_id, e.txn_id, json_extract(lot.value, '$[0]'), json_extract(lot.value, '$[1]')
    FROM (SELECT DISTINCT wallet_id, charge_id FROM part) p
    JOIN am_credit_transaction_log e ON e.txn_id = p.charge_id AND e.wallet_id = p.wallet_id AND e.txn_type = 'charge'
    JOIN json_each(e.lots) lot
    UNION ALL
    SELECT e.wallet_id, 0, json_extract(lot.value, '$[0]'), json_extract(lot.value, '$[1]')
    FROM am_credit_transaction_log e, json_each(e.lots) lot
    WHERE e.txn_type = 'reversal'
)
SELECT DISTINCT p.wallet_id, coalesce(t.taken_yen, 0), p.returned_yen
FROM (SELECT wallet_id, charge_id, lot_id, sum(amount_yen) AS returned_yen FROM part
      GROUP BY wallet_id, charge_id, lot_id) p
LEFT JOIN (SELECT wallet_id, charge_id, lot_id, sum(amount_yen) AS taken_yen FROM taken
           GROUP BY wallet_id, charge_id, lot_id) t
       ON t.wallet_id = p.wallet_id AND t.charge_id = p.charge_id AND t.lot_id = p.lot_id
WHERE p.returned_yen > coalesce(t.taken_yen, 0);

-- due: the wallet's row knows when the first of its open lots and holds ends
SELECT w.wallet_id, 1, 0
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, min(expires_at) AS expires_at FROM am_credit_hold WHERE status = 'open'
           GROUP BY wallet_id) h ON h.wallet_id = w.wallet_id
LEFT JOIN (SELECT wallet_id, min(json_extract(lot.value, '$[3]')) AS expires_at
           FROM am_credit_wallet o, json_each(o.open_lots) lot
           WHERE json_extract(lot.value, '$[3]') IS NOT NULL GROUP BY wallet_id) l ON l.wallet_id = w.wallet_id
WHERE coalesce(w.next_due_at, '~') > coalesce(h.expires_at, '~') OR coalesce(w.next_due_at, '~') > coalesce(l.expires_at, '~');

-- holds: the open holds add up to what is held
SELECT w.wallet_id, w.held_yen, coalesce(sum(h.amount_yen - h.captured_yen), 0)
FROM am_credit_wallet w LEFT JOIN am_credit_hold h ON h.wallet_id = w.wallet_id AND h.status = 'open'
GROUP BY w.wallet_id
HAVING coalesce(sum(h.amount_yen - h.captured_yen), 0) <> w.held_yen;

-- key_holds: the open holds of an agent key add up to what it holds
SELECT k.wallet_id, k.held_yen, coalesce(sum(h.amount_yen - h.captured_yen), 0)
FROM am_credit_key k LEFT JOIN am_credit_hold h ON h.wallet_id = k.wallet_id AND h.key_id = k.key_id AND h.status = 'open'
GROUP BY k.wallet_id, k.key_id
HAVING coalesce(sum(h.amount_yen - h.captured_yen), 0) <> k.held_yen;

-- captures: the charges of a hold are what was captured of it and beyond it
SELECT h.wallet_id, h.captured_yen + h.above_yen, coalesce(-sum(e.amount_yen), 0)
FROM am_credit_hold h
LEFT JOIN (SELECT wallet_id, hold_id, amount_yen FROM am_credit_transaction_log WHERE hold_id IS NOT NULL) e
       ON e.wallet_id = h.wallet_id AND e.hold_id = h.hold_id
GROUP BY h.wallet_id, h.hold_id
HAVING coalesce(-sum(e.amount_yen), 0) <> h.captured_yen + h.above_yen;

-- closers: a hold is closed by a payer, an operator, the product or a seller, and that of a purchase by who sold it
SELECT h.wallet_id, 1, 0
FROM am_credit_hold h
LEFT JOIN am_credit_purchase p ON p.wallet_id = h.wallet_id AND p.hold_id = h.hold_id
WHERE h.closer NOT IN ('payer', 'operator', 'product') AND substr(h.closer, 1, 7) <> 'seller:' OR h.closer <> p.actor;

-- purchases: a purchase names a charge or a hold of its wallet, no larger than its price; only what is owed whole has none
SELECT p.wallet_id, p.amount_yen, coalesce(-e.amount_yen, h.amount_yen, 0)
FROM am_credit_purchase p
LEFT JOIN am_credit_transaction_log e ON e.wallet_id = p.wallet_id AND e.txn_id = p.txn_id AND e.txn_type = 'charge'
LEFT JOIN am_credit_hold h ON h.wallet_id = p.wallet_id AND h.hold_id = p.hold_id
WHERE coalesce(-e.amount_yen, h.amount_yen, 0) NOT BETWEEN 1 AND p.amount_yen
  AND NOT (p.status = 'served' AND p.txn_id IS NULL AND p.hold_id IS NULL);

-- served: what was served is not undone, and what is undone is back with its wallet
SELECT p.wallet_id, 1, 0
FROM am_credit_purchase p
LEFT JOIN am_credit_hold h ON h.wallet_id = p.wallet_id AND h.hold_id = p.hold_id
LEFT JOIN am_credit_returned r ON r.wallet_id = p.wallet_id AND r.txn_id = p.txn_id
LEFT JOIN am_credit_transaction_log u
       ON u.wallet_id = p.wallet_id AND u.txn_id = p.undone_txn_id AND u.txn_type = 'refund' AND u.related_txn_id = p.txn_id
WHERE CASE p.status
      WHEN 'undone' THEN CASE WHEN p.hold_id IS NULL THEN r.returned_yen IS NULL OR p.undone_txn_id IS NOT NULL AND u.txn_id IS NULL
                              ELSE h.status NOT IN ('released', 'expired') END
      WHEN 'served' THEN p.undone_txn_id IS NOT NULL OR p.hold_id IS NOT NULL AND h.served = 0 AND h.captured_yen = 0
      ELSE p.undone_txn_id IS NOT NULL OR p.hold_id IS NOT NULL AND h.served = 1 END;

-- refunds: what was refunded of a charge is on record, and is not more than the charge
SELECT c.wallet_id, coalesce(r.returned_yen, 0), sum(e.amount_yen)
FROM am_credit_transaction_log e
JOIN am_credit_transaction_log c ON c.txn_id = e.related_txn_id
LEFT JOIN am_credit_returned r ON r.wallet_id = c.wallet_id AND r.txn_id = c.txn_id
WHERE e.txn_type = 'refund' AND e.related_txn_id IS NOT NULL
GROUP BY c.wallet_id, c.txn_id, c.amount_yen, c.txn_type, r.returned_yen
HAVING sum(e.amount_yen) <> coalesce(r.returned_yen, 0) OR sum(e.amount_yen) > -c.amount_yen OR c.txn_type <> 'charge';

-- debt: only an empty wallet owes
SELECT wallet_id, 0, balance_yen FROM am_credit_wallet WHERE debt_yen > 0 AND balance_yen > 0;

-- clawbacks: what is owed for top-ups is debt of the wallet
SELECT w.wallet_id, w.debt_yen, sum(c.owed_yen)
FROM am_credit_clawback c JOIN am_credit_wallet w ON w.wallet_id = c.wallet_id
GROUP BY w.wallet_id, w.debt_yen
HAVING sum(c.owed_yen) > w.debt_yen;

-- recorded_cycles: the cycles that anything is recorded for, by time zone
SELECT DISTINCT w.time_zone, w.current_cycle FROM am_credit_wallet w WHERE w.current_cycle IS NOT NULL
UNION
SELECT DISTINCT w.time_zone, s.billing_cycle
FROM am_credit_cycle_spend s JOIN am_credit_wallet w ON w.wallet_id = s.wallet_id
UNION
SELECT DISTINCT w.time_zone, s.billing_cycle
FROM am_credit_cycle_segment s JOIN am_credit_wallet w ON w.wallet_id = s.wallet_id;

-- spending: a wallet's charges, as plain SQL may have dated them, and what is recorded by cycle of it (key 0) and its keys
SELECT 0 AS is_record, occurred_at, key_id, -amount_yen FROM am_credit_transaction_log
WHERE wallet_id = :wallet_id AND txn_type = 'charge'
UNION ALL
SELECT 1, coalesce(current_cycle, ''), 0, cycle_spent_yen FROM am_credit_wallet WHERE wallet_id = :wallet_id
UNION ALL
SELECT 1, coalesce(current_cycle, ''), key_id, cycle_spent_yen FROM am_credit_key WHERE wallet_id = :wallet_id
UNION ALL
SELECT 1, s.billing_cycle, s.key_id, s.spent_yen
FROM am_credit_cycle_spend s
JOIN am_credit_wallet w ON w.wallet_id = s.wallet_id
LEFT JOIN am_credit_key k ON k.key_id = s.key_id
WHERE s.wallet_id = :wallet_id
  AND s.billing_cycle <> coalesce(CASE WHEN s.key_id = 0 THEN w.current_cycle ELSE k.current_cycle END, '');

-- moved_in_cycle: what entries dated in a cycle spent and changed; begins each of the three below
WITH moved AS MATERIALIZED (
    SELECT wallet_id, key_id, sum(CASE WHEN txn_type = 'charge' THEN -amount_yen ELSE 0 END) AS spent_yen,
           sum(amount_yen) AS net_yen, min(prev_txn_id) AS after_txn_id, max(txn_id) AS last_txn_id
    FROM am_credit_transaction_log
    WHERE replace(occurred_at, ' ', 'T') >= :cycle_start AND replace(occurred_at, ' ', 'T') < :cycle_end
    GROUP BY wallet_id, key_id
)

-- cycle_spend: spending recorded for a cycle is the sum of its charges
-- Like key_spend, it names wallets whose charges are to be counted by cycle_of to tell: plain SQL may write times otherwise
-- than the ledger does, with an offset say.
SELECT 'cycle_spend', w.wallet_id, coalesce(c.spent_yen, 0),
       CASE WHEN w.current_cycle = :cycle THEN w.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, sum(spent_yen) AS spent_yen FROM moved GROUP BY wallet_id) c
       ON c.wallet_id = w.wallet_id
LEFT JOIN am_credit_cycle_spend s ON s.billing_cycle = :cycle AND s.wallet_id = w.wallet_id AND s.key_id = 0
WHERE w.time_zone = :time_zone
  AND coalesce(c.spent_yen, 0) <>
      CASE WHEN w.current_cycle = :cycle THEN w.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END

-- key_spend: an agent key's spending recorded for a cycle is the sum of its charges
SELECT 'key_spend', k.wallet_id, coalesce(c.spent_yen, 0),
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END
FROM am_credit_key k
JOIN am_credit_wallet w ON w.wallet_id = k.wallet_id
LEFT JOIN moved c ON c.wallet_id = k.wallet_id AND c.key_id = k.key_id
LEFT JOIN am_credit_cycle_spend s
       ON s.billing_cycle = :cycle AND s.wallet_id = k.wallet_id AND s.key_id = k.key_id
WHERE w.time_zone = :time_zone
  AND coalesce(c.spent_yen, 0) <>
      CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END

-- cycles: the entries of each segment are of its cycle, and the ledger closes it with what it closes with
-- Names wallets whose chain is to be walked to tell: those with one segment of a cycle that has just what is dated in it
-- are in order.
SELECT 'cycles', w.wallet_id, coalesce(m.net_yen, 0), coalesce(b.net_yen, 0)
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, sum(net_yen) AS net_yen, min(after_txn_id) AS after_txn_id,
                  max(last_txn_id) AS last_txn_id
           FROM moved GROUP BY wallet_id) m ON m.wallet_id = w.wallet_id
LEFT JOIN (SELECT wallet_id, count(*) AS segments, sum(net_yen) AS net_yen, min(after_txn_id) AS after_txn_id,
                  max(last_txn_id) AS last_txn_id
           FROM (SELECT s.wallet_id, s.last_txn_id,
                        coalesce((SELECT last_txn_id FROM am_credit_cycle_segment p
                                  WHERE p.wallet_id = s.wallet_id AND p.segment_no < s.segment_no
                                  ORDER BY segment_no DESC LIMIT 1), 0) AS after_txn_id,
                        s.closing_yen -
                        coalesce((SELECT closing_yen FROM am_credit_cycle_segment p
                                  WHERE p.wallet_id = s.wallet_id AND p.segment_no < s.segment_no
                                  ORDER BY segment_no DESC LIMIT 1), o.opening_yen) AS net_yen
                 FROM am_credit_cycle_segment s JOIN am_credit_wallet o ON o.wallet_id = s.wallet_id
                 WHERE s.billing_cycle = :cycle AND o.time_zone = :time_zone
                 UNION ALL
                 SELECT o.wallet_id, o.last_txn_id,
                        coalesce((SELECT last_txn_id FROM am_credit_cycle_segment p
                                  WHERE p.wallet_id = o.wallet_id ORDER BY segment_no DESC LIMIT 1), 0),
                        o.balance_yen + o.held_yen -
                        coalesce((SELECT closing_yen FROM am_credit_cycle_segment p
                                  WHERE p.wallet_id = o.wallet_id ORDER BY segment_no DESC LIMIT 1), o.opening_yen)
                 FROM am_credit_wallet o
                 WHERE o.current_cycle = :cycle AND o.time_zone = :time_zone) segment
           WHERE last_txn_id <> after_txn_id
           GROUP BY wallet_id) b ON b.wallet_id = w.wallet_id
WHERE w.time_zone = :time_zone
  AND (m.net_yen IS DISTINCT FROM b.net_yen OR m.after_txn_id IS DISTINCT FROM b.after_txn_id
       OR m.last_txn_id IS DISTINCT FROM b.last_txn_id OR b.segments > 1)
