-- Drops what 305 added, and writes what was remembered since as it would have been before.

UPDATE am_credit_idempotency
SET idempotency_key = v.idempotency_key, created_on = v.created_on,
    fingerprint = CASE WHEN length(v.fingerprint) = 32 THEN v.fingerprint
                       WHEN substr(hex(v.fingerprint), 1, 1) <> '9'  -- an amount alone: a number, or text
                       THEN unhex('94A6436861726765' || hex(v.fingerprint) || 'C0C0')
                       WHEN hex(v.fingerprint) GLOB '93[0-7C]*' OR hex(v.fingerprint) GLOB '93[AB]?3*'  -- with more
                       THEN unhex('94A6436861726765' || substr(hex(v.fingerprint), 3))
                       ELSE v.fingerprint END
FROM v_credit_idempotency AS v
WHERE v.stored_key = am_credit_idempotency.idempotency_key AND v.wallet_id = am_credit_idempotency.wallet_id;

DROP VIEW v_credit_idempotency;
DELETE FROM am_credit_counted WHERE counted > 'long_keys ' AND counted < 'long_keys!';
