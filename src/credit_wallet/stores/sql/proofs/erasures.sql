-- Whose personal data was erased.

-- erasures: what was erased is of a closed wallet, and the log of acts says when it began and ended
SELECT e.wallet_id, 'an act', 'none'
FROM am_credit_erasure e
WHERE NOT EXISTS (SELECT 1 FROM am_credit_act a WHERE a.wallet_id = e.wallet_id AND a.kind = 'erasure.begun')
UNION ALL
SELECT a.wallet_id, 'an erasure', 'an act ' || a.kind
FROM am_credit_act a
WHERE a.kind IN ('erasure.begun', 'erasure.sealed', 'erasure.ended')
  AND NOT EXISTS (SELECT 1 FROM am_credit_erasure e WHERE e.wallet_id = a.wallet_id)
UNION ALL
SELECT e.wallet_id, 'a closed wallet', 'an open one'
FROM am_credit_erasure e
WHERE NOT EXISTS (SELECT 1 FROM am_credit_wallet w WHERE w.wallet_id = e.wallet_id AND w.closed_at IS NOT NULL)
UNION ALL
SELECT e.wallet_id, 'an end in the log', e.ended_at
FROM am_credit_erasure e
WHERE e.ended_at IS NOT NULL
  AND e.ended_at IS DISTINCT FROM (SELECT max(a.occurred_at) FROM am_credit_act a
                                   WHERE a.wallet_id = e.wallet_id AND a.kind = 'erasure.ended')
UNION ALL
SELECT e.wallet_id, 'no range sealed again after the end', 'act ' || max(a.act_id)
FROM am_credit_erasure e JOIN am_credit_act a ON a.wallet_id = e.wallet_id AND a.kind = 'erasure.sealed'
WHERE e.ended_at IS NOT NULL
GROUP BY e.wallet_id
HAVING max(a.act_id) > (SELECT max(b.act_id) FROM am_credit_act b
                        WHERE b.wallet_id = e.wallet_id AND b.kind = 'erasure.ended');
