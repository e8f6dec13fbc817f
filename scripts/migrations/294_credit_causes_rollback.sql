-- Drops what 294 added; notes still begin with what was paid back. Seals that only it can read go with it; their entries
-- are sealed again.

DELETE FROM am_credit_seal WHERE version > 2;
UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(seal_id), 0) FROM am_credit_seal) WHERE name = 'am_credit_seal';
DROP INDEX idx_am_credit_transaction_log_pay_back;
ALTER TABLE am_credit_transaction_log DROP COLUMN cause;
