-- Holds: what is set aside, and what was captured of it.

-- holds: the open holds add up to what is held
SELECT w.wallet_id, exact(w.held_yen, w.ledger_fraction - w.balance_fraction), coalesce(h.kept, 0), 'yen'
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, exact(sum(amount_yen - captured_yen), sum(amount_fraction - captured_fraction)) AS kept
           FROM am_credit_hold WHERE status = 'open' GROUP BY wallet_id) h
       ON h.wallet_id = w.wallet_id
WHERE coalesce(h.kept, 0) <> exact(w.held_yen, w.ledger_fraction - w.balance_fraction);

-- key_holds: the open holds of an agent key add up to what it holds
SELECT k.wallet_id, exact(k.held_yen, k.held_fraction), coalesce(h.kept, 0), 'yen'
FROM am_credit_key k
LEFT JOIN (SELECT wallet_id, key_id, exact(sum(amount_yen - captured_yen), sum(amount_fraction - captured_fraction)) AS kept
           FROM am_credit_hold WHERE status = 'open' AND key_id IS NOT NULL GROUP BY wallet_id, key_id) h
       ON h.wallet_id = k.wallet_id AND h.key_id = k.key_id
WHERE coalesce(h.kept, 0) <> exact(k.held_yen, k.held_fraction);

-- captures: the charges of a hold are what was captured of it and beyond it, by its key; a captured hold has some or is owed
SELECT coalesce(h.wallet_id, e.wallet_id),
       coalesce(exact(h.captured_yen + h.above_yen, h.captured_fraction + h.above_fraction), 0), coalesce(e.charged, 0), 'yen'
FROM am_credit_hold h
FULL JOIN (SELECT wallet_id, hold_id, -exact(sum(amount_yen), sum(beyond(x))) AS charged,
                  min(coalesce(key_id, 0)) AS first_key, max(coalesce(key_id, 0)) AS last_key
           FROM am_credit_transaction_log x WHERE hold_id IS NOT NULL GROUP BY wallet_id, hold_id) e
       ON e.wallet_id = h.wallet_id AND e.hold_id = h.hold_id
WHERE CASE WHEN h.hold_id IS NULL THEN e.charged <> 0  -- one that cost nothing may be forgotten
           ELSE coalesce(e.charged, 0) <> exact(h.captured_yen + h.above_yen, h.captured_fraction + h.above_fraction)
                OR e.first_key <> coalesce(h.key_id, 0) OR e.last_key <> coalesce(h.key_id, 0)
                OR h.status = 'captured' AND e.hold_id IS NULL AND h.served = 0 AND (h.amount_yen > 0 OR h.amount_fraction > 0)
           END;

-- hold_lots: what a hold has not captured is what it keeps of lots, or kept until it was closed
SELECT h.wallet_id, exact(h.amount_yen - h.captured_yen, h.amount_fraction - h.captured_fraction),
       exact(coalesce(sum(CAST(part.value ->> 1 AS BIGINT)), 0), coalesce(sum(micros(part)), 0)), 'yen'
FROM am_credit_hold h LEFT JOIN json_each(h.lots) part ON TRUE
GROUP BY h.wallet_id, h.hold_id, h.amount_yen, h.amount_fraction, h.captured_yen, h.captured_fraction
HAVING exact(coalesce(sum(CAST(part.value ->> 1 AS BIGINT)), 0), coalesce(sum(micros(part)), 0))
       <> exact(h.amount_yen - h.captured_yen, h.amount_fraction - h.captured_fraction);

-- hold_states: a hold that was closed says when, what is given back has a rest, and what was served a payer cannot close
SELECT wallet_id, 1, 0
FROM am_credit_hold
WHERE (status = 'open') <> (closed_at IS NULL)
   OR captured_yen = amount_yen AND captured_fraction = amount_fraction AND (amount_yen > 0 OR amount_fraction > 0)
      AND status IN ('released', 'expired')  -- an open one may wait for captures beyond it
   OR served = 1 AND closer = 'payer';

-- closers: a hold is closed by a payer, an operator, the product or a seller, and that of a purchase by who sold it
SELECT h.wallet_id, 1, 0
FROM am_credit_hold h
LEFT JOIN am_credit_purchase p ON p.wallet_id = h.wallet_id AND p.hold_id = h.hold_id
WHERE h.closer NOT IN ('payer', 'operator', 'product') AND substr(h.closer, 1, 7) <> 'seller:' OR h.closer <> p.actor;
