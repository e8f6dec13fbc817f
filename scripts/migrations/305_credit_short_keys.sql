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
SELECT CASE WHEN hex IS NULL THEN stored_key
            ELSE substr(stored_key, 1, length(stored_key) - 23) || substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-'
                 || substr(hex, 13, 4) || '-' || substr(hex, 17, 4) || '-' || substr(hex, 21) END AS idempotency_key,
       wallet_id, stored_key, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail,
       CASE WHEN length(created_on) = 10 THEN created_on ELSE date(created_on * 86400, 'unixepoch') END AS created_on
FROM (SELECT idempotency_key AS stored_key, wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail,
             created_on,
             CASE WHEN substr(idempotency_key, -23, 1) = char(4) THEN (
                 SELECT group_concat(printf('%0*x', width, (
                     (instr(digits, substr(idempotency_key, place, 1)) - 1) * 262144
                     + (instr(digits, substr(idempotency_key, place + 1, 1)) - 1) * 4096
                     + CASE WHEN width = 6 THEN (instr(digits, substr(idempotency_key, place + 2, 1)) - 1) * 64
                                                + instr(digits, substr(idempotency_key, place + 3, 1)) - 1
                            ELSE 0 END) >> CASE WHEN width = 6 THEN 0 ELSE 16 END), '')
                 FROM (SELECT '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz' AS digits)
                 CROSS JOIN (SELECT -22 AS place, 6 AS width UNION ALL SELECT -18, 6 UNION ALL SELECT -14, 6
                             UNION ALL SELECT -10, 6 UNION ALL SELECT -6, 6 UNION ALL SELECT -2, 2)
             ) END AS hex
      FROM am_credit_idempotency);
