-- What PostgreSQL says otherwise than ../verify.sql: it has no json_each.

-- lots: the open lots add up to the balance
SELECT w.wallet_id, w.balance_yen, coalesce(sum(CAST(lot.value ->> 2 AS BIGINT)), 0)
FROM am_credit_wallet w LEFT JOIN LATERAL jsonb_array_elements(CAST(w.open_lots AS JSONB)) lot (value) ON TRUE
GROUP BY w.wallet_id
HAVING coalesce(sum(CAST(lot.value ->> 2 AS BIGINT)), 0) <> w.balance_yen;

-- lot_flow: what entries brought to and took from a lot, less what open holds keep of it, is what is left of it
WITH flow (wallet_id, lot_id, amount_yen) AS (
    SELECT e.wallet_id, CAST(part.value ->> 0 AS BIGINT),
           CAST(part.value ->> 1 AS BIGINT) * CASE WHEN e.amount_yen > 0 THEN 1 ELSE -1 END
    FROM am_credit_transaction_log e, jsonb_array_elements(CAST(e.lots AS JSONB)) part (value)
    UNION ALL
    SELECT wallet_id, lot_id, granted_yen FROM am_credit_lot WHERE lot_id = 0
    UNION ALL
    SELECT h.wallet_id, CAST(part.value ->> 0 AS BIGINT), -CAST(part.value ->> 1 AS BIGINT)
    FROM am_credit_hold h, jsonb_array_elements(CAST(h.lots AS JSONB)) part (value)
    WHERE h.status = 'open'
    UNION ALL
    SELECT w.wallet_id, CAST(lot.value ->> 0 AS BIGINT), -CAST(lot.value ->> 2 AS BIGINT)
    FROM am_credit_wallet w, jsonb_array_elements(CAST(w.open_lots AS JSONB)) lot (value)
)
SELECT DISTINCT wallet_id, 0, sum(amount_yen)
FROM flow
GROUP BY wallet_id, lot_id
HAVING sum(amount_yen) <> 0;

-- lot_kinds: an open lot is of the kind that it was granted as, and ends when it was granted to
SELECT DISTINCT w.wallet_id, l.lot_id, CAST(lot.value ->> 0 AS BIGINT)
FROM am_credit_wallet w CROSS JOIN LATERAL jsonb_array_elements(CAST(w.open_lots AS JSONB)) lot (value)
LEFT JOIN am_credit_lot l ON l.wallet_id = w.wallet_id AND l.lot_id = CAST(lot.value ->> 0 AS BIGINT)
                         AND l.kind = lot.value ->> 1 AND coalesce(l.expires_at, '') = coalesce(lot.value ->> 3, '')
WHERE l.lot_id IS NULL;

-- returned_lots: what comes again, or may, goes back to the lots it was taken from, and no more of each than was taken
WITH part (wallet_id, charge_id, lot_id, amount_yen) AS (
    SELECT e.wallet_id, CASE e.txn_type WHEN 'refund' THEN e.related_txn_id ELSE 0 END, CAST(lot.value ->> 0 AS BIGINT),
           CAST(lot.value ->> 1 AS BIGINT)
    FROM am_credit_transaction_log e, jsonb_array_elements(CAST(e.lots AS JSONB)) lot (value)
    WHERE e.txn_type IN ('refund', 'topup') AND e.related_txn_id IS NOT NULL
      AND CAST(lot.value ->> 0 AS BIGINT) <> e.txn_id  -- what was short of lots has come as one of its own
    UNION ALL
    SELECT c.wallet_id, 0, CAST(lot.value ->> 0 AS BIGINT), CAST(lot.value ->> 1 AS BIGINT)
    FROM am_credit_clawback c, jsonb_array_elements(CAST(c.taken AS JSONB)) lot (value)
), taken (wallet_id, charge_id, lot_id, amount_yen) AS (
    SELECT e.wallet_id, e.txn_id, CAST(lot.value ->> 0 AS BIGINT), CAST(lot.value ->> 1 AS BIGINT)
    FROM (SELECT DISTINCT wallet_id, charge_id FROM part) p
    JOIN am_credit_transaction_log e ON e.txn_id = p.charge_id AND e.wallet_id = p.wallet_id AND e.txn_type = 'charge'
    CROSS JOIN LATERAL jsonb_array_elements(CAST(e.lots AS JSONB)) lot (value)
    UNION ALL
    SELECT e.wallet_id, 0, CAST(lot.value ->> 0 AS BIGINT), CAST(lot.value ->> 1 AS BIGINT)
    FROM am_credit_transaction_log e, jsonb_array_elements(CAST(e.lots AS JSONB)) lot (value)
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
LEFT JOIN (SELECT wallet_id, min((lot.value ->> 3) COLLATE "C") AS expires_at
           FROM am_credit_wallet o, jsonb_array_elements(CAST(o.open_lots AS JSONB)) lot (value)
           WHERE lot.value ->> 3 IS NOT NULL GROUP BY wallet_id) l ON l.wallet_id = w.wallet_id
WHERE coalesce(w.next_due_at, '~') > coalesce(h.expires_at, '~') OR coalesce(w.next_due_at, '~') > coalesce(l.expires_at, '~');
