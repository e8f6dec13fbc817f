-- Top-ups through a payment provider.

-- topups: a top-up is credited by the entry that it names, once and with what was received, and no other is
SELECT t.wallet_id, t.credited_yen, coalesce(e.amount_yen, 0)
FROM am_credit_topup t
LEFT JOIN am_credit_transaction_log e
       ON e.txn_id = t.credit_txn_id AND e.wallet_id = t.wallet_id AND e.txn_type = 'topup' AND e.related_txn_id IS NULL
      AND e.note = 'top-up ' || t.topup_id
WHERE CASE WHEN t.status = 'credited' THEN e.txn_id IS NULL OR e.amount_yen <> t.credited_yen OR beyond(e) <> 0
                                               OR t.received_yen < t.credited_yen
           ELSE t.credit_txn_id IS NOT NULL OR t.credited_yen <> 0 OR t.reversed_yen <> 0
                OR (t.status = 'succeeded') <> (t.received_yen > 0) END
   OR t.processing = 1 AND t.status IN ('succeeded', 'credited', 'canceled');

-- topup_entries: an entry that credits a top-up is the one that the top-up names
SELECT e.wallet_id, e.txn_id, coalesce(t.credit_txn_id, 0)
FROM am_credit_transaction_log e
LEFT JOIN am_credit_topup t ON t.topup_id = substr(e.note, 8) AND t.wallet_id = e.wallet_id
WHERE e.txn_type = 'topup' AND e.related_txn_id IS NULL AND e.note LIKE 'top-up tu_%'
  AND t.credit_txn_id IS DISTINCT FROM e.txn_id;

-- topup_lots: what was paid for through the provider is a paid lot that never ends
SELECT t.wallet_id, 1, 0
FROM am_credit_topup t
JOIN am_credit_transaction_log e ON e.txn_id = t.credit_txn_id AND e.wallet_id = t.wallet_id
JOIN json_each(e.lots) part ON TRUE
LEFT JOIN am_credit_lot l ON l.wallet_id = e.wallet_id AND l.lot_id = CAST(part.value ->> 0 AS BIGINT)
                         AND l.kind = 'paid' AND l.expires_at IS NULL
WHERE l.lot_id IS NULL;

-- topup_history: a top-up has the status that its history ends with, what was received by then, and what is taken of it
-- The history of one that may still be credited is not forgotten, so there is no such top-up without it.
WITH taken (topup_id, wallet_id, taken_yen) AS (
    SELECT t.topup_id, t.wallet_id, sum(CAST(taking.value ->> 1 AS BIGINT))
    FROM am_credit_topup t, json_each(t.takings) taking
    WHERE t.received_yen > 0 AND CAST(taking.value ->> 2 AS BIGINT) = 1
    GROUP BY t.topup_id, t.wallet_id
)
SELECT h.wallet_id, h.taken_yen, coalesce(k.taken_yen, 0)
FROM (SELECT topup_id, wallet_id, max(event_id) AS event_id FROM am_credit_topup_history GROUP BY topup_id, wallet_id) last
JOIN am_credit_topup_history h ON h.event_id = last.event_id AND h.wallet_id = last.wallet_id
LEFT JOIN am_credit_topup t ON t.topup_id = h.topup_id AND t.wallet_id = h.wallet_id
LEFT JOIN taken k ON k.topup_id = t.topup_id AND k.wallet_id = t.wallet_id
WHERE t.topup_id IS NULL OR t.status <> h.status OR t.received_yen < h.received_yen OR coalesce(k.taken_yen, 0) <> h.taken_yen
   OR t.status = 'credited' AND t.reversed_yen < coalesce(k.taken_yen, 0)
UNION ALL
SELECT t.wallet_id, 1, 0
FROM am_credit_topup t
LEFT JOIN am_credit_topup_history h ON h.topup_id = t.topup_id AND h.wallet_id = t.wallet_id
WHERE t.status IN ('requested', 'pending', 'requires_action', 'succeeded') AND h.topup_id IS NULL;

-- paid_once: one payment is of one top-up, which credits it once, and so is the page it is made on
SELECT min(wallet_id), 1, count(*)
FROM am_credit_topup
WHERE payment_intent IS NOT NULL
GROUP BY payment_intent
HAVING count(*) > 1
UNION ALL
SELECT min(wallet_id), 1, count(*)
FROM am_credit_topup
WHERE checkout_session IS NOT NULL
GROUP BY checkout_session
HAVING count(*) > 1;

-- installation: the ledger has one name, which payments carry
SELECT CAST(NULL AS BIGINT), 1, count(*) FROM am_credit_installation HAVING count(*) <> 1;
