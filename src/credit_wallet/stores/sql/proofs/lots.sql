-- Lots: what is left of the credit that came in together.

-- lots: the open lots add up to the balance
SELECT w.wallet_id, exact(w.balance_yen, w.balance_fraction),
       exact(coalesce(sum(CAST(lot.value ->> 2 AS BIGINT)), 0), coalesce(sum(CAST(lot.value ->> 4 AS BIGINT)), 0)), 'yen'
FROM am_credit_wallet w LEFT JOIN json_each(w.open_lots) lot ON TRUE
GROUP BY w.wallet_id, w.balance_yen, w.balance_fraction
HAVING exact(coalesce(sum(CAST(lot.value ->> 2 AS BIGINT)), 0), coalesce(sum(CAST(lot.value ->> 4 AS BIGINT)), 0))
       <> exact(w.balance_yen, w.balance_fraction);

-- lot_flow: what entries brought to and took from a lot, less what open holds keep of it, is what is left of it
WITH flow (wallet_id, lot_id, yen, fraction) AS (
    SELECT e.wallet_id, CAST(part.value ->> 0 AS BIGINT),
           CAST(part.value ->> 1 AS BIGINT) * CASE e.txn_type WHEN 'topup' THEN 1 WHEN 'refund' THEN 1 ELSE -1 END,
           micros(part) * CASE e.txn_type WHEN 'topup' THEN 1 WHEN 'refund' THEN 1 ELSE -1 END
    FROM am_credit_transaction_log e, json_each(e.lots) part
    UNION ALL
    SELECT wallet_id, lot_id, granted_yen, granted_fraction FROM am_credit_lot WHERE lot_id = 0
    UNION ALL
    SELECT h.wallet_id, CAST(part.value ->> 0 AS BIGINT), -CAST(part.value ->> 1 AS BIGINT),
           -micros(part)
    FROM am_credit_hold h, json_each(h.lots) part
    WHERE h.status = 'open'
    UNION ALL
    SELECT w.wallet_id, CAST(lot.value ->> 0 AS BIGINT), -CAST(lot.value ->> 2 AS BIGINT),
           -coalesce(CAST(lot.value ->> 4 AS BIGINT), 0)
    FROM am_credit_wallet w, json_each(w.open_lots) lot
)
SELECT wallet_id, 0, exact(sum(yen), sum(fraction)), 'yen'
FROM flow
GROUP BY wallet_id, lot_id
HAVING exact(sum(yen), sum(fraction)) <> 0;

-- lot_grants: a lot was granted what the entry that opened it brought, and is in the register
SELECT wallet_id, 0, exact(sum(yen), sum(fraction)), 'yen'
FROM (SELECT e.wallet_id, e.txn_id AS lot_id, CAST(part.value ->> 1 AS BIGINT) AS yen,
             micros(part) AS fraction
      FROM am_credit_transaction_log e, json_each(e.lots) part
      WHERE e.txn_type IN ('topup', 'refund') AND CAST(part.value ->> 0 AS BIGINT) = e.txn_id
      UNION ALL
      SELECT wallet_id, lot_id, -granted_yen, -granted_fraction FROM am_credit_lot WHERE lot_id <> 0) AS opened
GROUP BY wallet_id, lot_id
HAVING exact(sum(yen), sum(fraction)) <> 0;

-- lot_kinds: an open lot is of the kind that it was granted as, and ends when it was granted to
SELECT DISTINCT w.wallet_id, l.lot_id, CAST(lot.value ->> 0 AS BIGINT)
FROM am_credit_wallet w JOIN json_each(w.open_lots) lot ON TRUE
LEFT JOIN am_credit_lot l ON l.wallet_id = w.wallet_id AND l.lot_id = CAST(lot.value ->> 0 AS BIGINT)
                         AND l.kind = lot.value ->> 1 AND coalesce(l.expires_at, '') = coalesce(lot.value ->> 3, '')
WHERE l.lot_id IS NULL;

-- lot_order: the open lots stand in the order in which they are spent: gifts first, what ends sooner first
SELECT DISTINCT wallet_id, 1, 0
FROM (SELECT wallet_id, is_paid, lot_id, ends_at,
             lag(is_paid) OVER one_after_another AS paid_before, lag(ends_at) OVER one_after_another AS ends_before,
             lag(lot_id) OVER one_after_another AS lot_before
      FROM (SELECT w.wallet_id, lot.key AS place, CASE lot.value ->> 1 WHEN 'paid' THEN 1 ELSE 0 END AS is_paid,
                   CAST(lot.value ->> 0 AS BIGINT) AS lot_id, coalesce(lot.value ->> 3, '9999') AS ends_at
            FROM am_credit_wallet w, json_each(w.open_lots) lot) AS placed
      WINDOW one_after_another AS (PARTITION BY wallet_id ORDER BY place)) AS pairs
WHERE paid_before > is_paid OR paid_before = is_paid AND (ends_before > ends_at OR ends_before = ends_at AND lot_before > lot_id);

-- lot_ends: the opening credit of a plain-SQL wallet is paid and never expires, and lapsed credit had expired
SELECT wallet_id, 1, 0 FROM am_credit_lot WHERE lot_id = 0 AND (kind <> 'paid' OR expires_at IS NOT NULL)
UNION ALL
SELECT e.wallet_id, 1, 0
FROM am_credit_transaction_log e JOIN json_each(e.lots) part ON TRUE
LEFT JOIN am_credit_lot l ON l.wallet_id = e.wallet_id AND l.lot_id = CAST(part.value ->> 0 AS BIGINT)
                         AND l.expires_at <= e.occurred_at
WHERE e.txn_type = 'expire' AND l.lot_id IS NULL;

-- returned_lots: what is reinstated, or may be, goes back to the lots it was taken from, and no more of each than was taken
WITH part (wallet_id, charge_id, lot_id, yen, fraction) AS (
    SELECT e.wallet_id, CASE e.txn_type WHEN 'refund' THEN e.related_txn_id ELSE 0 END, CAST(lot.value ->> 0 AS BIGINT),
           CAST(lot.value ->> 1 AS BIGINT), micros(lot)
    FROM am_credit_transaction_log e, json_each(e.lots) lot
    WHERE e.txn_type IN ('refund', 'topup') AND e.related_txn_id IS NOT NULL
      AND CAST(lot.value ->> 0 AS BIGINT) <> e.txn_id  -- what was short of lots has come as one of its own
      AND e.cause IS DISTINCT FROM 'transfer_returned'
    UNION ALL
    SELECT c.wallet_id, 0, CAST(lot.value ->> 0 AS BIGINT), CAST(lot.value ->> 1 AS BIGINT),
           micros(lot)
    FROM am_credit_clawback c, json_each(c.taken) lot
), taken (wallet_id, charge_id, lot_id, yen, fraction) AS (
    SELECT e.wallet_id, e.txn_id, CAST(lot.value ->> 0 AS BIGINT), CAST(lot.value ->> 1 AS BIGINT),
           micros(lot)
    FROM (SELECT DISTINCT wallet_id, charge_id FROM part) p
    JOIN am_credit_transaction_log e ON e.txn_id = p.charge_id AND e.wallet_id = p.wallet_id AND e.txn_type = 'charge'
    JOIN json_each(e.lots) lot ON TRUE
    UNION ALL
    SELECT e.wallet_id, 0, CAST(lot.value ->> 0 AS BIGINT), CAST(lot.value ->> 1 AS BIGINT),
           micros(lot)
    FROM am_credit_transaction_log e, json_each(e.lots) lot
    WHERE e.txn_type = 'reversal' AND e.cause IS DISTINCT FROM 'transfer_out'
)
SELECT DISTINCT p.wallet_id, coalesce(t.taken, 0), p.returned, 'yen'
FROM (SELECT wallet_id, charge_id, lot_id, exact(sum(yen), sum(fraction)) AS returned FROM part
      GROUP BY wallet_id, charge_id, lot_id) p
LEFT JOIN (SELECT wallet_id, charge_id, lot_id, exact(sum(yen), sum(fraction)) AS taken FROM taken
           GROUP BY wallet_id, charge_id, lot_id) t
       ON t.wallet_id = p.wallet_id AND t.charge_id = p.charge_id AND t.lot_id = p.lot_id
WHERE p.returned > coalesce(t.taken, 0);

-- due: the wallet's row knows when the first of its open lots and holds ends
SELECT w.wallet_id, 1, 0
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, min(expires_at) AS expires_at FROM am_credit_hold WHERE status = 'open'
           GROUP BY wallet_id) h ON h.wallet_id = w.wallet_id
LEFT JOIN (SELECT o.wallet_id, min(lot.value ->> 3) AS expires_at
           FROM am_credit_wallet o, json_each(o.open_lots) lot
           WHERE lot.value ->> 3 IS NOT NULL GROUP BY o.wallet_id) l ON l.wallet_id = w.wallet_id
WHERE h.expires_at IS NOT NULL AND (w.next_due_at IS NULL OR w.next_due_at > h.expires_at)
   OR l.expires_at IS NOT NULL AND (w.next_due_at IS NULL OR w.next_due_at > l.expires_at);
