-- Who may use what, and which budget alerts were emitted.

-- tokens: a token's hash names one thing
SELECT min(wallet_id), 1, count(*)
FROM (SELECT owner_token_hash AS token_hash, wallet_id, 0 AS key_id, 0 AS seller_id FROM am_credit_wallet
      UNION
      SELECT token_hash, wallet_id, key_id, 0 FROM am_credit_key
      UNION
      SELECT token_hash, wallet_id, key_id, seller_id FROM am_credit_secret) AS named
GROUP BY token_hash
HAVING count(*) > 1;

-- secrets: what opens an identity names one that is there, and an earlier token has an end
SELECT s.wallet_id, 1, 0
FROM am_credit_secret s
LEFT JOIN am_credit_wallet w ON w.wallet_id = s.wallet_id
LEFT JOIN am_credit_key k ON k.key_id = s.key_id AND k.wallet_id = s.wallet_id
LEFT JOIN am_credit_seller v ON v.seller_id = s.seller_id
WHERE CASE WHEN s.seller_id > 0 THEN v.seller_id IS NULL
           ELSE w.wallet_id IS NULL OR s.key_id > 0 AND k.key_id IS NULL OR s.registered = 0 AND s.ends_at IS NULL END;

-- references: a reference is that of the wallet whose names have it, and names belong to a wallet or key that exists
SELECT coalesce(r.wallet_id, p.wallet_id), 1, 0
FROM am_credit_reference r
FULL JOIN (SELECT wallet_id, reference FROM am_credit_profile WHERE key_id = 0 AND reference <> '') AS p
       ON p.wallet_id = r.wallet_id AND p.reference = r.reference
WHERE r.wallet_id IS NULL OR p.wallet_id IS NULL
UNION ALL
SELECT p.wallet_id, 1, 0
FROM am_credit_profile p
LEFT JOIN am_credit_wallet w ON w.wallet_id = p.wallet_id
LEFT JOIN am_credit_key k ON k.wallet_id = p.wallet_id AND k.key_id = p.key_id
WHERE w.wallet_id IS NULL OR p.key_id > 0 AND k.key_id IS NULL;

-- ends: an agent key and a seller end at their recorded end, and exist
SELECT i.wallet_id, 1, 0
FROM (SELECT 'key' AS identity, key_id AS identity_id, wallet_id, expires_at, revoked_at FROM am_credit_key
      UNION ALL
      SELECT 'seller', seller_id, wallet_id, NULL, revoked_at FROM am_credit_seller) AS i
LEFT JOIN am_credit_end x ON x.identity = i.identity AND x.identity_id = i.identity_id AND x.wallet_id = i.wallet_id
                         AND x.cause = 'expiry'
LEFT JOIN am_credit_end r ON r.identity = i.identity AND r.identity_id = i.identity_id AND r.wallet_id = i.wallet_id
                         AND r.cause = 'revocation'
WHERE x.ends_at IS DISTINCT FROM i.expires_at OR r.ends_at IS DISTINCT FROM i.revoked_at
UNION ALL
SELECT e.wallet_id, 1, 0
FROM am_credit_end e
LEFT JOIN am_credit_key k ON e.identity = 'key' AND k.key_id = e.identity_id AND k.wallet_id = e.wallet_id
LEFT JOIN am_credit_seller s ON e.identity = 'seller' AND s.seller_id = e.identity_id AND s.wallet_id = e.wallet_id
WHERE k.key_id IS NULL AND s.seller_id IS NULL;

-- alerts: an alert that fired had its share of its budget spent, and no more than was spent in its cycle
SELECT a.wallet_id, a.spent_yen, coalesce(CASE WHEN w.current_cycle = a.billing_cycle THEN w.cycle_spent_yen ELSE s.spent_yen END, 0)
FROM (SELECT wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen FROM am_credit_spending_alert
      UNION ALL
      SELECT wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen FROM am_credit_threshold_alert) AS a
LEFT JOIN am_credit_wallet w ON w.wallet_id = a.wallet_id
LEFT JOIN am_credit_cycle_spend s ON s.billing_cycle = a.billing_cycle AND s.wallet_id = a.wallet_id AND s.key_id = 0
WHERE (CAST(a.spent_yen AS NUMERIC) + 1) * 100 <= CAST(a.budget_yen AS NUMERIC) * a.threshold_pct  -- a.spent_yen is rounded down
   OR a.spent_yen > coalesce(CASE WHEN w.current_cycle = a.billing_cycle THEN w.cycle_spent_yen ELSE s.spent_yen END, 0);

-- alerted: the wallet's row says that a threshold has fired only when one has, and no alert whose event was emitted is gone
SELECT w.wallet_id, coalesce(max(a.threshold_pct), 0), w.alerted_pct
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, threshold_pct, billing_cycle FROM am_credit_spending_alert
           UNION ALL
           SELECT wallet_id, threshold_pct, billing_cycle FROM am_credit_threshold_alert) AS a
       ON a.wallet_id = w.wallet_id AND a.billing_cycle = w.current_cycle
WHERE w.alerted_pct > 0
GROUP BY w.wallet_id, w.alerted_pct
HAVING coalesce(max(a.threshold_pct), 0) < w.alerted_pct
UNION ALL
SELECT o.wallet_id, 1, 0
FROM am_credit_outbox o
LEFT JOIN (SELECT wallet_id, threshold_pct, billing_cycle FROM am_credit_spending_alert
           UNION ALL
           SELECT wallet_id, threshold_pct, billing_cycle FROM am_credit_threshold_alert) AS a
       ON a.wallet_id = o.wallet_id AND o.dedupe_key LIKE 'budget.threshold_reached ' || a.billing_cycle || ' % ' || a.threshold_pct
WHERE o.kind = 'budget.threshold_reached' AND o.dedupe_key IS NOT NULL AND a.wallet_id IS NULL
  AND o.dedupe_key NOT LIKE 'budget.threshold_reached budget-%';  -- the wallet's monthly budget alone has alerts

-- standing: a wallet that is frozen with a reason, being closed or closed spends nothing, and one that is merged names the wallet
-- that has its credit
SELECT w.wallet_id, 0, w.enabled
FROM am_credit_wallet w
LEFT JOIN am_credit_wallet other ON other.wallet_id = w.merged_into
WHERE w.enabled = 1 AND (w.frozen_at IS NOT NULL OR w.closing_at IS NOT NULL OR w.closed_at IS NOT NULL)
   OR w.closed_at IS NOT NULL AND w.closing_at IS NULL
   OR w.merged_into IS NOT NULL AND (w.closing_at IS NULL OR other.wallet_id IS NULL OR other.wallet_id = w.wallet_id);
