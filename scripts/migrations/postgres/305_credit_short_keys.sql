-- 305: idempotency keys take less room. No row is rewritten; only what is remembered from now on is shorter.
--
-- A UUID at the end of a key, in small letters, stands as the byte 4 and 22 digits: its 16 bytes in base 64, in the order
-- '-0-9A-Z_a-z'. created_on is the number of days since 1970-01-01. The fingerprint of a charge without item and facts
-- goes without the word Charge, and without note and agent key when it has none.

-- While there may be UUIDs in full they are looked for as well: until the keys of this day and before are pruned.
INSERT INTO am_credit_counted (counted, last_txn_id)
SELECT 'long_keys ' || max(created_on), 0 FROM am_credit_idempotency HAVING count(*) > 0;

-- What is remembered, with the keys as callers sent them behind their rooms. stored_key is the one in the table.
CREATE VIEW v_credit_idempotency AS
SELECT CASE WHEN left(right(idempotency_key, 23), 1) = chr(4)
            THEN left(idempotency_key, -23) || CAST(CAST(encode(decode(
                     translate(right(idempotency_key, 22),
                               '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz',
                               'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/') || '==',
                     'base64'), 'hex') AS uuid) AS text)
            ELSE idempotency_key END AS idempotency_key,
       wallet_id, idempotency_key AS stored_key, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail,
       CASE WHEN length(created_on) = 10 THEN created_on
            ELSE to_char(date '1970-01-01' + CAST(created_on AS integer), 'YYYY-MM-DD') END AS created_on
FROM am_credit_idempotency;
