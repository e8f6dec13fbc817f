-- 282: the ledger chains its entries, knows expiry and reversal, and cannot be rewritten.
--
-- Each entry names the wallet's previous entry (prev_txn_id, 0 for the first) and carries the balance it left, so a
-- wallet's history is a walk along its own chain and needs no index. An entry written by plain SQL has no prev_txn_id
-- until the wallet adopts it.

ALTER TABLE am_credit_transaction_log
    DROP CONSTRAINT am_credit_transaction_log_types,
    DROP CONSTRAINT am_credit_transaction_log_signs,
    ADD CONSTRAINT am_credit_transaction_log_types
        CHECK (txn_type IN ('topup', 'charge', 'refund', 'expire', 'reversal')),
    ADD CONSTRAINT am_credit_transaction_log_signs
        CHECK (CASE WHEN txn_type IN ('topup', 'refund') THEN amount_yen > 0 ELSE amount_yen < 0 END),
    ADD COLUMN prev_txn_id BIGINT,
    ADD COLUMN ledger_balance_yen BIGINT,   -- balance and open holds, after it
    ADD COLUMN lots TEXT,                   -- [[lot_id,amount_yen],…], see 283
    ADD COLUMN key_id BIGINT,               -- the agent key that paid
    ADD COLUMN related_txn_id BIGINT,       -- charge refunded, top-up reversed
    ADD COLUMN hold_id BIGINT;              -- hold captured

-- Holds only what plain SQL wrote and the wallet has not adopted: empty, and never written to, on the hot path.
CREATE INDEX idx_am_credit_transaction_log_unadopted
    ON am_credit_transaction_log (wallet_id) WHERE prev_txn_id IS NULL;

-- An entry of the rail has its wallet's row locked, so only plain SQL is asked whether its wallet exists. A foreign key
-- would ask every entry.
CREATE FUNCTION am_credit_transaction_log_wallet_exists() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM am_credit_wallet WHERE wallet_id = NEW.wallet_id) THEN
        RAISE EXCEPTION 'there is no wallet %', NEW.wallet_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER am_credit_transaction_log_wallet_exists
BEFORE INSERT ON am_credit_transaction_log
FOR EACH ROW WHEN (NEW.prev_txn_id IS NULL)
EXECUTE FUNCTION am_credit_transaction_log_wallet_exists();

CREATE FUNCTION am_credit_transaction_log_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: write a refund or a reversal instead of changing an entry'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER am_credit_transaction_log_append_only_delete
BEFORE DELETE ON am_credit_transaction_log
FOR EACH ROW EXECUTE FUNCTION am_credit_transaction_log_append_only();
CREATE TRIGGER am_credit_transaction_log_append_only_truncate
BEFORE TRUNCATE ON am_credit_transaction_log
FOR EACH STATEMENT EXECUTE FUNCTION am_credit_transaction_log_append_only();
CREATE TRIGGER am_credit_transaction_log_append_only_update
BEFORE UPDATE ON am_credit_transaction_log
FOR EACH ROW
WHEN (OLD.prev_txn_id IS NOT NULL
      OR (NEW.txn_id, NEW.wallet_id, NEW.amount_yen, NEW.txn_type, NEW.occurred_at, NEW.note)
         IS DISTINCT FROM (OLD.txn_id, OLD.wallet_id, OLD.amount_yen, OLD.txn_type, OLD.occurred_at, OLD.note))
EXECUTE FUNCTION am_credit_transaction_log_append_only();
