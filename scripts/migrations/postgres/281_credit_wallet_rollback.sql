-- Drops exactly what 281 made. The rows go with it: for development databases.

DROP VIEW IF EXISTS v_credit_wallet_topup_due;
DROP TABLE IF EXISTS am_credit_spending_alert;
DROP TABLE IF EXISTS am_credit_transaction_log;
DROP TABLE IF EXISTS am_credit_wallet;
DROP SEQUENCE IF EXISTS am_credit_spending_alert_alert_id_seq;
DROP SEQUENCE IF EXISTS am_credit_transaction_log_txn_id_seq;
DROP SEQUENCE IF EXISTS am_credit_wallet_wallet_id_seq;
