-- Drops what 305 added, and writes what was remembered since as it would have been before.

UPDATE am_credit_idempotency AS i
SET idempotency_key = v.idempotency_key, created_on = v.created_on,
    fingerprint = CASE WHEN length(v.fingerprint) = 32 THEN v.fingerprint
                       WHEN left(encode(v.fingerprint, 'hex'), 1) <> '9'  -- an amount alone: a number, or text
                       THEN '\x94a6436861726765'::bytea || v.fingerprint || '\xc0c0'::bytea
                       WHEN encode(v.fingerprint, 'hex') ~ '^93([0-7c]|[ab].3)'  -- with more
                       THEN '\x94a6436861726765'::bytea || substr(v.fingerprint, 2)
                       ELSE v.fingerprint END
FROM v_credit_idempotency AS v
WHERE v.stored_key = i.idempotency_key AND v.wallet_id = i.wallet_id;

DROP VIEW v_credit_idempotency;
DELETE FROM am_credit_counted WHERE counted > 'long_keys ' AND counted < 'long_keys!';
