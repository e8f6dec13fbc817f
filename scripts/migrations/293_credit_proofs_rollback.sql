-- Drops what 293 added. Seals that only it can read go with it; their entries are sealed again.

DELETE FROM am_credit_clawback WHERE credit_txn_id = 0;
DROP TRIGGER am_credit_seller_revocation;
DROP TRIGGER am_credit_key_revocation;
DROP TRIGGER am_credit_key_expiry;
DROP TABLE am_credit_end;
DELETE FROM am_credit_seal WHERE version > 1;
UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(seal_id), 0) FROM am_credit_seal) WHERE name = 'am_credit_seal';
ALTER TABLE am_credit_seal DROP COLUMN version;
