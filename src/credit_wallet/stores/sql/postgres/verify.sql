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
