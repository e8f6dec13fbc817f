-- Drops what 282 added. The CHECKs stay wide: entries of the newer types may be there, and they are not rewritten.

DROP TRIGGER am_credit_transaction_log_append_only_update;
DROP TRIGGER am_credit_transaction_log_append_only_delete;
DROP INDEX idx_am_credit_transaction_log_unadopted;
ALTER TABLE am_credit_transaction_log DROP COLUMN hold_id;
ALTER TABLE am_credit_transaction_log DROP COLUMN related_txn_id;
ALTER TABLE am_credit_transaction_log DROP COLUMN key_id;
ALTER TABLE am_credit_transaction_log DROP COLUMN lots;
ALTER TABLE am_credit_transaction_log DROP COLUMN ledger_balance_yen;
ALTER TABLE am_credit_transaction_log DROP COLUMN prev_txn_id;
