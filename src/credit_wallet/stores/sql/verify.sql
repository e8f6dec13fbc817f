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

-- purchases: a purchase names a charge or a hold of its wallet, no larger than its price
SELECT p.wallet_id, p.amount_yen, coalesce(-e.amount_yen, h.amount_yen, 0)
FROM am_credit_purchase p
LEFT JOIN am_credit_transaction_log e ON e.wallet_id = p.wallet_id AND e.txn_id = p.txn_id AND e.txn_type = 'charge'
LEFT JOIN am_credit_hold h ON h.wallet_id = p.wallet_id AND h.hold_id = p.hold_id
WHERE coalesce(-e.amount_yen, h.amount_yen, 0) NOT BETWEEN 1 AND p.amount_yen;

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

-- recorded_cycles: the cycles that spending is recorded for, by time zone
SELECT DISTINCT w.time_zone, w.current_cycle FROM am_credit_wallet w WHERE w.current_cycle IS NOT NULL
UNION
SELECT DISTINCT w.time_zone, s.billing_cycle
FROM am_credit_cycle_spend s JOIN am_credit_wallet w ON w.wallet_id = s.wallet_id;

-- cycle_spend: spending recorded for a cycle is the sum of its charges
WITH charged AS (
    SELECT wallet_id, -sum(amount_yen) AS spent_yen FROM am_credit_transaction_log
    WHERE txn_type = 'charge' AND replace(occurred_at, ' ', 'T') >= :cycle_start AND replace(occurred_at, ' ', 'T') < :cycle_end
    GROUP BY wallet_id
)
SELECT w.wallet_id, coalesce(c.spent_yen, 0),
       CASE WHEN w.current_cycle = :cycle THEN w.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END
FROM am_credit_wallet w
LEFT JOIN charged c ON c.wallet_id = w.wallet_id
LEFT JOIN am_credit_cycle_spend s ON s.billing_cycle = :cycle AND s.wallet_id = w.wallet_id AND s.key_id = 0
WHERE w.time_zone = :time_zone
  AND coalesce(c.spent_yen, 0) <>
      CASE WHEN w.current_cycle = :cycle THEN w.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END;

-- key_spend: an agent key's spending recorded for a cycle is the sum of its charges
WITH charged AS (
    SELECT wallet_id, key_id, -sum(amount_yen) AS spent_yen FROM am_credit_transaction_log
    WHERE txn_type = 'charge' AND key_id IS NOT NULL AND replace(occurred_at, ' ', 'T') >= :cycle_start AND replace(occurred_at, ' ', 'T') < :cycle_end
    GROUP BY wallet_id, key_id
)
SELECT k.wallet_id, coalesce(c.spent_yen, 0),
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END
FROM am_credit_key k
JOIN am_credit_wallet w ON w.wallet_id = k.wallet_id
LEFT JOIN charged c ON c.wallet_id = k.wallet_id AND c.key_id = k.key_id
LEFT JOIN am_credit_cycle_spend s
       ON s.billing_cycle = :cycle AND s.wallet_id = k.wallet_id AND s.key_id = k.key_id
WHERE w.time_zone = :time_zone
  AND coalesce(c.spent_yen, 0) <>
      CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END;
