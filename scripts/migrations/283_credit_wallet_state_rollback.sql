-- Drops what 283 added.

DROP TABLE am_credit_cycle_spend;
DROP TABLE am_credit_returned;
DROP TABLE am_credit_hold;
DROP TABLE am_credit_lot;
DROP INDEX idx_am_credit_wallet_due;
DROP INDEX idx_am_credit_wallet_unadopted;
ALTER TABLE am_credit_wallet DROP COLUMN exhausted;
ALTER TABLE am_credit_wallet DROP COLUMN next_due_at;
ALTER TABLE am_credit_wallet DROP COLUMN last_txn_id;
ALTER TABLE am_credit_wallet DROP COLUMN alerted_pct;
ALTER TABLE am_credit_wallet DROP COLUMN cycle_spent_yen;
ALTER TABLE am_credit_wallet DROP COLUMN current_cycle;
ALTER TABLE am_credit_wallet DROP COLUMN open_lots;
ALTER TABLE am_credit_wallet DROP COLUMN opening_yen;
ALTER TABLE am_credit_wallet DROP COLUMN debt_yen;
ALTER TABLE am_credit_wallet DROP COLUMN held_yen;
ALTER TABLE am_credit_wallet DROP COLUMN time_zone;
ALTER TABLE am_credit_wallet DROP COLUMN budget_mode;
ALTER TABLE am_credit_wallet DROP COLUMN label;
