-- Drops what 291 added. Mailboxes that have not said yes would count as having done so, and go.

DELETE FROM am_credit_target WHERE confirm_by IS NOT NULL;
DROP TABLE am_credit_mail_count;
DROP INDEX idx_am_credit_outbox_over;
DROP INDEX idx_am_credit_delivery_over;
DROP INDEX idx_am_credit_delivery_queue;
DROP INDEX idx_am_credit_target_confirm_by;
DROP INDEX idx_am_credit_target_due;
ALTER TABLE am_credit_target DROP COLUMN code_guesses;
ALTER TABLE am_credit_target DROP COLUMN code_sha256;
ALTER TABLE am_credit_target DROP COLUMN confirm_by;
ALTER TABLE am_credit_target DROP COLUMN hour_notices;
ALTER TABLE am_credit_target DROP COLUMN hour;
ALTER TABLE am_credit_target DROP COLUMN failures;
ALTER TABLE am_credit_target DROP COLUMN rests_until;
ALTER TABLE am_credit_target DROP COLUMN due_at;
ALTER TABLE am_credit_target DROP COLUMN way;
