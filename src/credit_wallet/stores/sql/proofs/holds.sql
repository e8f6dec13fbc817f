-- Holds, and the purchases that charges and holds pay for.

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

-- captures: the charges of a hold are what was captured of it and beyond it, by its key, and no hold that has any is gone
SELECT coalesce(h.wallet_id, e.wallet_id), coalesce(h.captured_yen + h.above_yen, 0), coalesce(e.charged_yen, 0)
FROM am_credit_hold h
FULL JOIN (SELECT wallet_id, hold_id, -sum(amount_yen) AS charged_yen, min(coalesce(key_id, 0)) AS first_key,
                  max(coalesce(key_id, 0)) AS last_key
           FROM am_credit_transaction_log WHERE hold_id IS NOT NULL GROUP BY wallet_id, hold_id) e
       ON e.wallet_id = h.wallet_id AND e.hold_id = h.hold_id
WHERE h.hold_id IS NULL OR coalesce(e.charged_yen, 0) <> h.captured_yen + h.above_yen
   OR e.first_key <> coalesce(h.key_id, 0) OR e.last_key <> coalesce(h.key_id, 0);

-- hold_lots: what a hold has not captured is what it keeps of lots, or kept until it was closed
SELECT h.wallet_id, h.amount_yen - h.captured_yen, coalesce(sum(CAST(part.value ->> 1 AS BIGINT)), 0)
FROM am_credit_hold h LEFT JOIN json_each(h.lots) part ON TRUE
GROUP BY h.wallet_id, h.hold_id, h.amount_yen, h.captured_yen
HAVING coalesce(sum(CAST(part.value ->> 1 AS BIGINT)), 0) <> h.amount_yen - h.captured_yen;

-- hold_states: a hold that was closed says when; what is captured has charges or is owed, and what is given back has a rest
SELECT wallet_id, 1, 0
FROM am_credit_hold
WHERE (status = 'open') <> (closed_at IS NULL)
   OR captured_yen = amount_yen AND status <> 'captured'
   OR status = 'captured' AND captured_yen + above_yen = 0 AND served = 0
   OR served = 1 AND closer = 'payer';

-- closers: a hold is closed by a payer, an operator, the product or a seller, and that of a purchase by who sold it
SELECT h.wallet_id, 1, 0
FROM am_credit_hold h
LEFT JOIN am_credit_purchase p ON p.wallet_id = h.wallet_id AND p.hold_id = h.hold_id
WHERE h.closer NOT IN ('payer', 'operator', 'product') AND substr(h.closer, 1, 7) <> 'seller:' OR h.closer <> p.actor;

-- purchases: a purchase is paid with a charge or a hold of its price by its key, and no other is; only what is owed has less
-- A hold that was given back may be forgotten before the purchase is.
SELECT p.wallet_id, p.amount_yen, coalesce(-e.amount_yen, h.amount_yen, 0)
FROM am_credit_purchase p
LEFT JOIN am_credit_transaction_log e ON e.wallet_id = p.wallet_id AND e.txn_id = p.txn_id AND e.txn_type = 'charge'
LEFT JOIN am_credit_hold h ON h.wallet_id = p.wallet_id AND h.hold_id = p.hold_id
WHERE CASE WHEN p.hold_id IS NOT NULL THEN p.txn_id IS NOT NULL OR h.hold_id IS NULL AND p.status = 'served'
                                           OR h.amount_yen <> p.amount_yen
                                           OR h.hold_id IS NOT NULL AND h.key_id IS DISTINCT FROM p.key_id
           WHEN p.txn_id IS NOT NULL THEN e.txn_id IS NULL OR e.key_id IS DISTINCT FROM p.key_id OR -e.amount_yen > p.amount_yen
                OR -e.amount_yen < p.amount_yen AND e.note IS DISTINCT FROM 'served after it was given back'
           ELSE p.status <> 'served' END
UNION ALL
SELECT min(wallet_id), 1, count(*) FROM am_credit_purchase WHERE hold_id IS NOT NULL GROUP BY hold_id HAVING count(*) > 1;

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

-- sales: what a seller sold is a charge of its own, and the purchase that it is for names who sold
SELECT s.wallet_id, s.txn_id, 0
FROM am_credit_sale s
LEFT JOIN am_credit_transaction_log e ON e.wallet_id = s.wallet_id AND e.txn_id = s.txn_id AND e.txn_type = 'charge'
                                     AND e.hold_id IS NULL
LEFT JOIN am_credit_seller v ON v.seller_id = s.seller_id
WHERE e.txn_id IS NULL OR v.seller_id IS NULL
UNION ALL
SELECT p.wallet_id, p.txn_id, coalesce(s.seller_id, 0)
FROM am_credit_purchase p
LEFT JOIN am_credit_sale s ON s.wallet_id = p.wallet_id AND s.txn_id = p.txn_id
WHERE p.txn_id IS NOT NULL
  AND CASE substr(p.actor, 1, 7) WHEN 'seller:' THEN p.actor ELSE '' END <> coalesce('seller:' || s.seller_id, '');
