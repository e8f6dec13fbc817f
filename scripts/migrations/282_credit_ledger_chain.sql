-- 282: the ledger chains its entries, knows expiry and reversal, and cannot be rewritten.
--
-- Each entry names the wallet's previous entry (prev_txn_id, 0 for the first) and carries the balance it left, so a
-- wallet's history is a walk along its own chain and needs no index. An entry written by plain SQL has no prev_txn_id
-- until the wallet adopts it.

-- The CHECKs of 281 know three types. Wider CHECKs leave every stored row as it is, so only the table's text is
-- replaced (sqlite.org/lang_altertable.html, section 8). The temporary table stops the migration when a host's ledger
-- has other columns than the six of 281.
CREATE TEMP TABLE ledger_must_have_the_six_columns_of_281 (
    columns TEXT CHECK (columns = 'txn_id,wallet_id,amount_yen,txn_type,occurred_at,note')
);
INSERT INTO ledger_must_have_the_six_columns_of_281
SELECT group_concat(name) FROM (SELECT name FROM pragma_table_info('am_credit_transaction_log') ORDER BY cid);
DROP TABLE ledger_must_have_the_six_columns_of_281;

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = 'CREATE TABLE am_credit_transaction_log (
    txn_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    wallet_id   INTEGER NOT NULL REFERENCES am_credit_wallet (wallet_id),
    amount_yen  INTEGER NOT NULL,
    txn_type    TEXT    NOT NULL CHECK (txn_type IN (''topup'', ''charge'', ''refund'', ''expire'', ''reversal'')),
    occurred_at TEXT    NOT NULL DEFAULT (strftime(''%Y-%m-%dT%H:%M:%fZ'', ''now'')),
    note        TEXT,
    CHECK (CASE WHEN txn_type IN (''topup'', ''refund'') THEN amount_yen > 0 ELSE amount_yen < 0 END)
)'
WHERE type = 'table' AND name = 'am_credit_transaction_log';
PRAGMA writable_schema = RESET;

ALTER TABLE am_credit_transaction_log ADD COLUMN prev_txn_id INTEGER;
ALTER TABLE am_credit_transaction_log ADD COLUMN ledger_balance_yen INTEGER;  -- balance and open holds, after it
ALTER TABLE am_credit_transaction_log ADD COLUMN lots TEXT;                   -- [[lot_id,amount_yen],…], see 283
ALTER TABLE am_credit_transaction_log ADD COLUMN key_id INTEGER;              -- the agent key that paid
ALTER TABLE am_credit_transaction_log ADD COLUMN related_txn_id INTEGER;      -- charge refunded, top-up reversed
ALTER TABLE am_credit_transaction_log ADD COLUMN hold_id INTEGER;             -- hold captured

-- Holds only what plain SQL wrote and the wallet has not adopted: empty, and never written to, on the hot path.
CREATE INDEX idx_am_credit_transaction_log_unadopted
    ON am_credit_transaction_log (wallet_id) WHERE prev_txn_id IS NULL;

CREATE TRIGGER am_credit_transaction_log_append_only_delete
BEFORE DELETE ON am_credit_transaction_log
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: write a refund or a reversal instead of deleting');
END;

CREATE TRIGGER am_credit_transaction_log_append_only_update
BEFORE UPDATE ON am_credit_transaction_log
WHEN OLD.prev_txn_id IS NOT NULL
  OR (NEW.txn_id, NEW.wallet_id, NEW.amount_yen, NEW.txn_type, NEW.occurred_at)
     IS NOT (OLD.txn_id, OLD.wallet_id, OLD.amount_yen, OLD.txn_type, OLD.occurred_at)
  OR NEW.note IS NOT OLD.note
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: write a refund or a reversal instead of changing an entry');
END;
