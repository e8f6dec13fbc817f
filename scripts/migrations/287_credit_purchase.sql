-- 287: purchases — what a request has bought, whether it was served, and who may undo it; who may close a hold.

-- What a payer's token made before this migration, its holder may still close.
ALTER TABLE am_credit_hold ADD COLUMN closer TEXT NOT NULL DEFAULT 'payer';  -- the actor that made it
ALTER TABLE am_credit_hold ADD COLUMN served INTEGER NOT NULL DEFAULT 0 CHECK (served IN (0, 1));
ALTER TABLE am_credit_hold ADD COLUMN above_yen INTEGER NOT NULL DEFAULT 0 CHECK (above_yen >= 0);  -- beyond what it held

-- One row per request that a gate sold. Its key begins with the room of the seller, as idempotency keys do.
CREATE TABLE am_credit_purchase (
    purchase_key  TEXT    NOT NULL,
    wallet_id     INTEGER NOT NULL,
    key_id        INTEGER,                -- the agent key that paid
    actor         TEXT    NOT NULL,       -- who sold
    fingerprint   BLOB    NOT NULL,       -- price and payer
    attempt       TEXT    NOT NULL,       -- which try to serve has it
    status        TEXT    NOT NULL CHECK (status IN ('running', 'served', 'undone')),
    amount_yen    INTEGER NOT NULL CHECK (amount_yen > 0),
    txn_id        INTEGER,                -- its charge
    hold_id       INTEGER,                -- or its hold
    undone_txn_id INTEGER,                -- the refund of an undone charge
    free_used     INTEGER NOT NULL DEFAULT 0 CHECK (free_used >= 0),
    lease_until   TEXT    NOT NULL,       -- a running one is its attempt's until then
    changed_on    TEXT    NOT NULL,       -- YYYY-MM-DD
    PRIMARY KEY (purchase_key, wallet_id)
) WITHOUT ROWID;
CREATE INDEX idx_am_credit_purchase_running ON am_credit_purchase (lease_until) WHERE status = 'running';

-- Idempotency keys live in rooms: payers' keys begin with the byte 1, operators' with none. A key from before may be
-- either's; it is remembered in both rooms until it is forgotten. (To what the product asks for itself, it is a retry no more.)
INSERT INTO am_credit_idempotency
       (idempotency_key, wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail, created_on)
SELECT char(1) || idempotency_key, wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail, created_on
FROM am_credit_idempotency;
