-- Drops what 293 added. Seals that only it can read go with it; their entries are sealed again.

DELETE FROM am_credit_clawback WHERE credit_txn_id = 0;
DROP TRIGGER am_credit_seller_revocation ON am_credit_seller;
DROP FUNCTION am_credit_seller_revocation();
DROP TRIGGER am_credit_key_revocation ON am_credit_key;
DROP FUNCTION am_credit_key_revocation();
DROP TRIGGER am_credit_key_expiry ON am_credit_key;
DROP FUNCTION am_credit_key_expiry();
DROP TABLE am_credit_end;
DELETE FROM am_credit_seal WHERE version > 1;
ALTER TABLE am_credit_seal DROP COLUMN version;
