-- The purchases that charges and holds pay for, and who sold.

-- purchases: a purchase is paid with a charge or a hold of its price by its key, and no other is; only what is owed has less
-- A hold that was given back may be forgotten before the purchase is.
SELECT wallet_id, price, coalesce(charged, held, 0), 'yen'
FROM (SELECT p.wallet_id, p.key_id, p.txn_id, p.hold_id, p.status, exact(p.amount_yen, p.amount_fraction) AS price,
             e.txn_id AS charge_id, -exact(e.amount_yen, beyond(e)) AS charged, e.key_id AS charged_key, e.note,
             h.hold_id AS known_hold_id, exact(h.amount_yen, h.amount_fraction) AS held, h.key_id AS held_key
      FROM am_credit_purchase p
      LEFT JOIN am_credit_transaction_log e ON e.wallet_id = p.wallet_id AND e.txn_id = p.txn_id AND e.txn_type = 'charge'
      LEFT JOIN am_credit_hold h ON h.wallet_id = p.wallet_id AND h.hold_id = p.hold_id) AS paid
WHERE CASE WHEN hold_id IS NOT NULL THEN txn_id IS NOT NULL OR known_hold_id IS NULL AND status = 'served' OR held <> price
                                         OR known_hold_id IS NOT NULL AND held_key IS DISTINCT FROM key_id
           WHEN txn_id IS NOT NULL THEN charge_id IS NULL OR charged_key IS DISTINCT FROM key_id OR charged > price
                OR charged < price AND note IS DISTINCT FROM 'served after it was given back'
           ELSE status <> 'served' END
UNION ALL
SELECT min(wallet_id), 1, count(*), '' FROM am_credit_purchase
WHERE hold_id IS NOT NULL GROUP BY hold_id HAVING count(*) > 1;

-- served: what was served is not undone, and what is undone is back with its wallet
SELECT p.wallet_id, 1, 0
FROM am_credit_purchase p
LEFT JOIN am_credit_hold h ON h.wallet_id = p.wallet_id AND h.hold_id = p.hold_id
LEFT JOIN am_credit_returned r ON r.wallet_id = p.wallet_id AND r.txn_id = p.txn_id
LEFT JOIN am_credit_transaction_log u
       ON u.wallet_id = p.wallet_id AND u.txn_id = p.undone_txn_id AND u.txn_type = 'refund' AND u.related_txn_id = p.txn_id
WHERE CASE p.status
      WHEN 'undone' THEN CASE WHEN p.hold_id IS NULL
                              THEN r.returned_yen IS NULL AND (p.amount_yen > 0 OR p.amount_fraction > 0)
                                   OR p.undone_txn_id IS NOT NULL AND u.txn_id IS NULL
                              ELSE h.status NOT IN ('released', 'expired') END
      WHEN 'served' THEN p.undone_txn_id IS NOT NULL
                         OR p.hold_id IS NOT NULL AND h.served = 0 AND h.captured_yen = 0 AND h.captured_fraction = 0
                            AND h.status <> 'captured'
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
