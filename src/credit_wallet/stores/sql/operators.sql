-- Operators and their keys. They run unchanged on every database.

-- create_operator: a new operator, unless the name is given
INSERT INTO am_credit_operator (name, role, created_at) VALUES (:name, :role, :now)
ON CONFLICT DO NOTHING
RETURNING operator_id;

-- operator_named: who has a name, and what was given to whoever has it
SELECT operator_id FROM am_credit_operator WHERE name = :name AND wallet_id = 0;

-- key_of_token: the key that a token was made for
SELECT operator_key_id, operator_id FROM am_credit_operator_key WHERE token_hash = :token_hash AND wallet_id = 0;

-- lock_operator: an operator, for this transaction alone
UPDATE am_credit_operator SET role = role WHERE operator_id = :operator_id AND wallet_id = 0
RETURNING role, revoked_at;

-- add_key: one more key of an operator
INSERT INTO am_credit_operator_key (operator_id, token_hash, token_prefix, created_at)
VALUES (:operator_id, :token_hash, :token_prefix, :now)
RETURNING operator_key_id;

-- end_keys: the earlier keys of an operator end at :ends_at at the latest
UPDATE am_credit_operator_key SET ends_at = :ends_at
WHERE operator_id = :operator_id AND revoked_at IS NULL AND (ends_at IS NULL OR ends_at > :ends_at);

-- count_keys: keys of an operator that work
SELECT count(*) FROM am_credit_operator_key
WHERE operator_id = :operator_id AND revoked_at IS NULL AND (ends_at IS NULL OR ends_at > :now);

-- configure_operator: another role
UPDATE am_credit_operator SET role = :role WHERE operator_id = :operator_id AND wallet_id = 0;

-- revoke_operator: for good
UPDATE am_credit_operator SET revoked_at = :now WHERE operator_id = :operator_id AND wallet_id = 0;

-- revoke_key: for good, when it is not yet
UPDATE am_credit_operator_key SET revoked_at = :now
WHERE operator_key_id = :operator_key_id AND operator_id = :operator_id AND revoked_at IS NULL
RETURNING operator_key_id;

-- operators: a page of operators, by id
SELECT operator_id, name, role, created_at, revoked_at FROM am_credit_operator
WHERE operator_id > :after AND wallet_id = 0
ORDER BY operator_id
LIMIT :limit;

-- operator: one operator
SELECT operator_id, name, role, created_at, revoked_at FROM am_credit_operator
WHERE operator_id = :operator_id AND wallet_id = 0;

-- keys: the latest keys of an operator
SELECT k.operator_key_id, k.operator_id, k.token_prefix, k.created_at, k.ends_at, coalesce(k.revoked_at, o.revoked_at)
FROM am_credit_operator_key k JOIN am_credit_operator o ON o.operator_id = k.operator_id AND o.wallet_id = 0
WHERE k.operator_id = :operator_id
ORDER BY k.operator_key_id DESC
LIMIT :limit;
