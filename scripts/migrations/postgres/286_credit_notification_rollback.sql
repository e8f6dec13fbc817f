-- Drops what 286 added.

DROP TABLE am_credit_counted;
DROP TABLE am_credit_hour_spend;
DROP TABLE am_credit_delivery;
DROP SEQUENCE am_credit_delivery_delivery_id_seq;
DROP TABLE am_credit_target;
DROP SEQUENCE am_credit_target_target_id_seq;
DROP TABLE am_credit_threshold_alert;
DROP SEQUENCE am_credit_threshold_alert_alert_id_seq;
DROP INDEX idx_am_credit_outbox_to_hand_out;
DROP INDEX idx_am_credit_outbox_dedupe;
ALTER TABLE am_credit_outbox DROP COLUMN handed_out;
ALTER TABLE am_credit_outbox DROP COLUMN dedupe_key;
ALTER TABLE am_credit_wallet DROP COLUMN alert_thresholds;
ALTER TABLE am_credit_wallet DROP COLUMN low_balance_yen;
