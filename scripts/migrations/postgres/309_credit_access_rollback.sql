-- Drops what 309 added, unless operators or scopes are in use: keys that may not spend would spend.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_operator WHERE revoked_at IS NULL)
       OR EXISTS (SELECT FROM am_credit_key WHERE scopes IS NOT NULL AND revoked_at IS NULL)
    THEN
        RAISE EXCEPTION 'there are operators, or agent keys with scopes; revoke the operators and the keys, or keep 309'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP TABLE am_credit_revoked_token;
ALTER TABLE am_credit_key DROP COLUMN scopes;
DROP TABLE am_credit_operator_key;
DROP SEQUENCE am_credit_operator_key_operator_key_id_seq;
DROP TABLE am_credit_operator;
DROP SEQUENCE am_credit_operator_operator_id_seq;
