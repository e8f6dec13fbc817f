-- Drops what 311 added. Closed wallets stay switched off.

ALTER TABLE am_credit_wallet DROP COLUMN merged_into;
ALTER TABLE am_credit_wallet DROP COLUMN closed_at;
ALTER TABLE am_credit_wallet DROP COLUMN closing_at;
ALTER TABLE am_credit_wallet DROP COLUMN frozen_note;
ALTER TABLE am_credit_wallet DROP COLUMN frozen_reason;
ALTER TABLE am_credit_wallet DROP COLUMN frozen_at;
