-- Drops what 309 added, unless operators or scopes are in use: keys that may not spend would spend.

CREATE TEMP TABLE nobody_may_gain (
    gaining INTEGER CONSTRAINT "there are operators, or agent keys with scopes; revoke the operators and the keys, or keep 309"
        CHECK (gaining = 0)
);
INSERT INTO nobody_may_gain
SELECT EXISTS (SELECT 1 FROM am_credit_operator WHERE revoked_at IS NULL)
    OR EXISTS (SELECT 1 FROM am_credit_key WHERE scopes IS NOT NULL AND revoked_at IS NULL);
DROP TABLE nobody_may_gain;

DROP TABLE am_credit_revoked_token;
ALTER TABLE am_credit_key DROP COLUMN scopes;
DROP TABLE am_credit_operator_key;
DROP TABLE am_credit_operator;
