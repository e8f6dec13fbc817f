-- Erasure of personal data, where PostgreSQL has another form of JSON, and of locks.

-- budget_changes: the labels of budgets in the log of changes to them
UPDATE am_credit_budget_change
SET before = CAST(jsonb_set(CAST(before AS jsonb), '{label}', 'null', false) AS text),
    after = CAST(jsonb_set(CAST(after AS jsonb), '{label}', 'null', false) AS text)
WHERE wallet_id = :wallet_id
  AND (CAST(before AS jsonb) ->> 'label' IS NOT NULL OR CAST(after AS jsonb) ->> 'label' IS NOT NULL)
RETURNING change_id;

-- lock_seal: a range, for this transaction alone
SELECT seal_id FROM am_credit_seal WHERE seal_id = :seal_id FOR UPDATE;

-- acts: texts, addresses and names of people of acts of a range
UPDATE am_credit_act
SET note = NULL, address = NULL, request_id = NULL,
    author = CASE WHEN {is_person} THEN 'owner' ELSE author END,
    before = CAST(CAST(before AS jsonb)
                  - ARRAY[{told}] AS text),
    after = CAST(CAST(after AS jsonb)
                 - ARRAY[{told}] AS text)
WHERE act_id > :after AND act_id <= :last AND wallet_id = :wallet_id
  AND kind NOT IN ('erasure.begun', 'erasure.sealed', 'erasure.ended')
  AND (note IS NOT NULL OR address IS NOT NULL OR request_id IS NOT NULL OR {is_person}
       OR jsonb_exists_any(CAST(before AS jsonb),
                           ARRAY[{told}])
       OR jsonb_exists_any(CAST(after AS jsonb),
                           ARRAY[{told}]))
RETURNING act_id;
