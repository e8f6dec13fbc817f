-- What people have written about themselves, or what names them, of one wallet. They run unchanged on every database.

-- key: agent keys that have a name, a group, a reference or metadata, by id
SELECT k.key_id, k.created_at, k.label, k.key_group AS "group", nullif(p.reference, ''), nullif(p.metadata, '{}')
FROM am_credit_key k
LEFT JOIN am_credit_profile p ON p.wallet_id = k.wallet_id AND p.key_id = k.key_id
WHERE k.wallet_id = :wallet_id AND k.key_id > :after
  AND (k.label IS NOT NULL OR k.key_group IS NOT NULL OR p.reference <> '' OR p.metadata <> '{}')
ORDER BY k.key_id
LIMIT :limit;

-- target: where notices go, by id
SELECT target_id, created_at, url AS address
FROM am_credit_target
WHERE wallet_id = :wallet_id AND target_id > :after
ORDER BY target_id
LIMIT :limit;

-- consent: what was agreed to, by number
SELECT consent_no, consented_at, consented_by, wording AS text
FROM am_credit_auto_topup_consent
WHERE wallet_id = :wallet_id AND consent_no > :after
ORDER BY consent_no
LIMIT :limit;

-- budget: budgets with their names and what they are about, by id
SELECT budget_id, created_at, label, scope
FROM am_credit_budget
WHERE wallet_id = :wallet_id AND budget_id > :after
ORDER BY budget_id
LIMIT :limit;

-- grant: promised credit that has a note, by id
SELECT grant_id, created_at, note
FROM am_credit_grant
WHERE wallet_id = :wallet_id AND grant_id > :after AND note IS NOT NULL
ORDER BY grant_id
LIMIT :limit;

-- hold: open holds, whose captures are entries later, by id
SELECT hold_id, created_at, note, usage
FROM am_credit_hold
WHERE wallet_id = :wallet_id AND status = 'open' AND hold_id > :after AND (note IS NOT NULL OR usage IS NOT NULL)
ORDER BY hold_id
LIMIT :limit;

-- payer: the saved payment method, one at most
SELECT wallet_id, updated_at, customer, payment_method
FROM am_credit_payer
WHERE wallet_id = :wallet_id AND wallet_id > :after
LIMIT :limit;
