-- Erasure of personal data, where PostgreSQL has another form of JSON, and of locks.

-- budget_changes: the labels of budgets in the log of changes to them
UPDATE am_credit_budget_change
SET before = CAST(CAST(before AS jsonb) - 'label' AS text), after = CAST(CAST(after AS jsonb) - 'label' AS text)
WHERE wallet_id = :wallet_id
  AND (jsonb_exists(CAST(before AS jsonb), 'label') OR jsonb_exists(CAST(after AS jsonb), 'label'))
RETURNING change_id;

-- holds: notes and names of some of its holds
UPDATE am_credit_hold SET note = NULL,
    usage = CAST(nullif(CAST(usage AS jsonb) - ARRAY['request_id', 'reference', 'metadata', 'idempotency_key'], '{}') AS text)
WHERE wallet_id = :wallet_id AND hold_id IN (
    SELECT hold_id FROM am_credit_hold
    WHERE wallet_id = :wallet_id
      AND (note IS NOT NULL
           OR jsonb_exists_any(CAST(usage AS jsonb), ARRAY['request_id', 'reference', 'metadata', 'idempotency_key']))
    LIMIT :limit)
RETURNING hold_id;

-- lock_seal: a range, for this transaction alone
SELECT seal_id FROM am_credit_seal WHERE seal_id = :seal_id FOR UPDATE;

-- entries: notes and names of entries of a range; what the ledger itself has noted stays
UPDATE am_credit_transaction_log AS e
SET note = CASE WHEN {is_own} THEN note END,
    detail = CASE WHEN jsonb_exists_any(CAST(detail AS jsonb), ARRAY['request_id', 'reference', 'metadata', 'idempotency_key'])
                  THEN CAST(nullif(CAST(detail AS jsonb)
                                   - ARRAY['request_id', 'reference', 'metadata', 'idempotency_key'], '{}') AS json)
                  ELSE detail END
WHERE txn_id > :after AND txn_id <= :last AND wallet_id = :wallet_id AND prev_txn_id IS NOT NULL
  AND (note IS NOT NULL AND NOT ({is_own})
       OR jsonb_exists_any(CAST(detail AS jsonb), ARRAY['request_id', 'reference', 'metadata', 'idempotency_key']))
RETURNING txn_id;

-- acts: texts, addresses and names of people of acts of a range
UPDATE am_credit_act
SET note = NULL, address = NULL, request_id = NULL,
    author = CASE WHEN {is_person} THEN 'owner' ELSE author END,
    before = CAST(CAST(before AS jsonb)
                  - ARRAY['label', 'reference', 'metadata', 'note', 'address', 'idempotency_key'] AS text),
    after = CAST(CAST(after AS jsonb)
                 - ARRAY['label', 'reference', 'metadata', 'note', 'address', 'idempotency_key'] AS text)
WHERE act_id > :after AND act_id <= :last AND wallet_id = :wallet_id
  AND kind NOT IN ('erasure.begun', 'erasure.sealed', 'erasure.ended')
  AND (note IS NOT NULL OR address IS NOT NULL OR request_id IS NOT NULL OR {is_person}
       OR jsonb_exists_any(CAST(before AS jsonb),
                           ARRAY['label', 'reference', 'metadata', 'note', 'address', 'idempotency_key'])
       OR jsonb_exists_any(CAST(after AS jsonb),
                           ARRAY['label', 'reference', 'metadata', 'note', 'address', 'idempotency_key']))
RETURNING act_id;
