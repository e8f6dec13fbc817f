-- Transfers: credit that has moved between wallets, and what is on its way.

-- transfers: what has left a wallet for another one has come in there, or is on its way, or is back since it was refused
SELECT o.wallet_id, exact(o.amount_yen, o.amount_fraction), exact(coalesce(i.amount_yen, 0), coalesce(i.amount_fraction, 0)),
       'yen'
FROM am_credit_transfer o
LEFT JOIN am_credit_transfer i ON i.wallet_id = o.other_wallet_id AND i.transfer_id = o.transfer_id AND i.direction = 'in'
WHERE o.direction = 'out'
  AND (CASE o.status WHEN 'done' THEN i.status IS DISTINCT FROM 'done'
                     WHEN 'returned' THEN i.status IS DISTINCT FROM 'refused' ELSE FALSE END
       OR i.other_wallet_id <> o.wallet_id OR i.amount_yen <> o.amount_yen OR i.amount_fraction <> o.amount_fraction
       OR (o.status = 'returned') <> (o.returned_txn_id IS NOT NULL) OR o.txn_id IS NULL)
UNION ALL
SELECT i.wallet_id, CASE WHEN o.wallet_id IS NULL THEN 0 ELSE exact(o.amount_yen, o.amount_fraction) END,
       exact(i.amount_yen, i.amount_fraction), 'yen'
FROM am_credit_transfer i
LEFT JOIN am_credit_transfer o ON o.wallet_id = i.other_wallet_id AND o.transfer_id = i.transfer_id AND o.direction = 'out'
                              AND o.other_wallet_id = i.wallet_id
WHERE i.direction = 'in' AND (o.wallet_id IS NULL OR (i.status = 'done') <> (i.txn_id IS NOT NULL));

-- transfer_lots: a transfer brings in what it took out: as much of each kind and expiry
WITH part (transfer_id, wallet_id, kind, expires_at, yen, fraction) AS (
    SELECT t.transfer_id, CASE t.direction WHEN 'out' THEN t.other_wallet_id ELSE t.wallet_id END, lot.value ->> 1,
           coalesce(lot.value ->> 2, ''),
           CAST(lot.value ->> 3 AS BIGINT) * CASE t.direction WHEN 'out' THEN -1 ELSE 1 END,
           CAST(lot.value ->> 4 AS BIGINT) * CASE t.direction WHEN 'out' THEN -1 ELSE 1 END
    FROM am_credit_transfer t JOIN json_each(t.lots) lot ON TRUE
    WHERE t.direction = 'in' OR EXISTS (
        SELECT 1 FROM am_credit_transfer i
        WHERE i.wallet_id = t.other_wallet_id AND i.transfer_id = t.transfer_id AND i.direction = 'in')
)
SELECT wallet_id, 0, exact(sum(yen), sum(fraction)), 'yen'
FROM part
GROUP BY transfer_id, wallet_id, kind, expires_at
HAVING exact(sum(yen), sum(fraction)) <> 0
UNION ALL
SELECT t.wallet_id, exact(t.amount_yen, t.amount_fraction),
       exact(coalesce(sum(CAST(lot.value ->> 3 AS BIGINT)), 0), coalesce(sum(CAST(lot.value ->> 4 AS BIGINT)), 0)), 'yen'
FROM am_credit_transfer t LEFT JOIN json_each(t.lots) lot ON TRUE
GROUP BY t.wallet_id, t.transfer_id, t.amount_yen, t.amount_fraction
HAVING exact(coalesce(sum(CAST(lot.value ->> 3 AS BIGINT)), 0), coalesce(sum(CAST(lot.value ->> 4 AS BIGINT)), 0))
       <> exact(t.amount_yen, t.amount_fraction);

-- transfer_entries: what a transfer took, brought and returned are the entries that it names, of its lots, and no others are
WITH moved (wallet_id, txn_id, cause, yen, fraction) AS (
    SELECT wallet_id, txn_id, 'transfer_out', -amount_yen, -amount_fraction FROM am_credit_transfer WHERE direction = 'out'
    UNION ALL
    SELECT wallet_id, returned_txn_id, 'transfer_returned', amount_yen, amount_fraction
    FROM am_credit_transfer WHERE returned_txn_id IS NOT NULL
    UNION ALL
    SELECT t.wallet_id, CAST(lot.value ->> 0 AS BIGINT), 'transfer_in', CAST(lot.value ->> 3 AS BIGINT),
           CAST(lot.value ->> 4 AS BIGINT)
    FROM am_credit_transfer t JOIN json_each(t.lots) lot ON TRUE
    WHERE t.direction = 'in' AND t.status = 'done'
)
SELECT m.wallet_id, exact(m.yen, m.fraction),
       CASE WHEN e.txn_id IS NULL THEN 0 ELSE exact(e.amount_yen, beyond(e)) END, 'yen'
FROM moved m
LEFT JOIN am_credit_transaction_log e ON e.txn_id = m.txn_id AND e.wallet_id = m.wallet_id AND e.cause = m.cause
WHERE e.txn_id IS NULL OR exact(e.amount_yen, beyond(e)) <> exact(m.yen, m.fraction)
UNION ALL
SELECT e.wallet_id, 0, exact(e.amount_yen, beyond(e)), 'yen'
FROM am_credit_transaction_log e
LEFT JOIN moved m ON m.txn_id = e.txn_id AND m.wallet_id = e.wallet_id AND m.cause = e.cause
WHERE e.cause IN ('transfer_out', 'transfer_in', 'transfer_returned') AND m.txn_id IS NULL
UNION ALL
SELECT min(wallet_id), 1, count(*), ''
FROM moved
GROUP BY txn_id
HAVING count(*) > 1
UNION ALL
SELECT t.wallet_id, 1, 0, ''
FROM am_credit_transfer t JOIN json_each(t.lots) lot ON TRUE
LEFT JOIN am_credit_transaction_log e ON e.wallet_id = t.wallet_id
     AND e.txn_id = CASE t.direction WHEN 'out' THEN t.txn_id ELSE CAST(lot.value ->> 0 AS BIGINT) END
LEFT JOIN json_each(e.lots) part ON t.direction = 'in' OR part.value ->> 0 = lot.value ->> 0
LEFT JOIN am_credit_lot l ON l.wallet_id = t.wallet_id AND l.lot_id = CAST(part.value ->> 0 AS BIGINT)
     AND l.kind = lot.value ->> 1 AND coalesce(l.expires_at, '') = coalesce(lot.value ->> 2, '')
WHERE t.status <> 'refused'
  AND (l.lot_id IS NULL OR CAST(part.value ->> 1 AS BIGINT) <> CAST(lot.value ->> 3 AS BIGINT)
       OR micros(part) <> CAST(lot.value ->> 4 AS BIGINT))
UNION ALL
SELECT t.wallet_id, t.txn_id, coalesce(r.related_txn_id, 0), ''
FROM am_credit_transfer t
JOIN am_credit_transaction_log o ON o.txn_id = t.txn_id AND o.wallet_id = t.wallet_id
LEFT JOIN am_credit_transaction_log r ON r.txn_id = t.returned_txn_id AND r.wallet_id = t.wallet_id
WHERE t.direction = 'out' AND t.status = 'returned'
  AND (r.related_txn_id IS DISTINCT FROM o.txn_id OR r.lots IS DISTINCT FROM o.lots);
