-- Drops what 290 added.

DROP INDEX idx_am_credit_lot_next_notice;
ALTER TABLE am_credit_lot DROP COLUMN notices_emitted;
