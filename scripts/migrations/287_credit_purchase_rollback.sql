-- Drops what 287 added. Keys go back to the common room, where a payer's and an operator's are one.

INSERT OR IGNORE INTO am_credit_idempotency
       (idempotency_key, wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail, created_on)
SELECT substr(idempotency_key, 2), wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail, created_on
FROM am_credit_idempotency WHERE idempotency_key >= char(1) AND idempotency_key < char(3);
DELETE FROM am_credit_idempotency WHERE idempotency_key >= char(1) AND idempotency_key < char(4);
DROP TABLE am_credit_purchase;
ALTER TABLE am_credit_hold DROP COLUMN above_yen;
ALTER TABLE am_credit_hold DROP COLUMN served;
ALTER TABLE am_credit_hold DROP COLUMN closer;
