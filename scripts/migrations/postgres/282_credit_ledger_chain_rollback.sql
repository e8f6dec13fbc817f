-- Drops what 282 added. The CHECKs stay wide: entries of the newer types may be there, and they are not rewritten.

DROP TRIGGER am_credit_transaction_log_append_only_update ON am_credit_transaction_log;
DROP TRIGGER am_credit_transaction_log_append_only_truncate ON am_credit_transaction_log;
DROP TRIGGER am_credit_transaction_log_append_only_delete ON am_credit_transaction_log;
DROP FUNCTION am_credit_transaction_log_append_only();
DROP TRIGGER am_credit_transaction_log_wallet_exists ON am_credit_transaction_log;
DROP FUNCTION am_credit_transaction_log_wallet_exists();
DROP INDEX idx_am_credit_transaction_log_unadopted;
ALTER TABLE am_credit_transaction_log
    DROP COLUMN hold_id,
    DROP COLUMN related_txn_id,
    DROP COLUMN key_id,
    DROP COLUMN lots,
    DROP COLUMN ledger_balance_yen,
    DROP COLUMN prev_txn_id;
