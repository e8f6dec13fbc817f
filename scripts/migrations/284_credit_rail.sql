-- 284: what the rail needs around the money — agent keys, idempotency keys, the outbox and the seals.

-- One token per agent. Only its SHA-256 is stored; a monthly cap of 0 means none.
CREATE TABLE am_credit_key (
    key_id          INTEGER PRIMARY KEY AUTOINCREMENT,
    wallet_id       INTEGER NOT NULL REFERENCES am_credit_wallet (wallet_id),
    token_hash      TEXT    NOT NULL UNIQUE CHECK (length(token_hash) = 64),
    label           TEXT,
    monthly_cap_yen INTEGER NOT NULL DEFAULT 0 CHECK (monthly_cap_yen >= 0),
    current_cycle   TEXT,
    cycle_spent_yen INTEGER NOT NULL DEFAULT 0,
    held_yen        INTEGER NOT NULL DEFAULT 0 CHECK (held_yen >= 0),
    created_at      TEXT    NOT NULL,
    expires_at      TEXT,
    revoked_at      TEXT
);
CREATE INDEX idx_am_credit_key_wallet ON am_credit_key (wallet_id);

-- What an idempotency key was used for and what came of it. Clustered by key: keys that grow with time (UUIDv7) land on
-- the same pages. Kept for the retention time, then pruned by created_on.
CREATE TABLE am_credit_idempotency (
    idempotency_key TEXT    NOT NULL,
    wallet_id       INTEGER NOT NULL,
    fingerprint     BLOB    NOT NULL,   -- the request, hashed when long
    txn_id          INTEGER,
    hold_id         INTEGER,
    amount_yen      INTEGER NOT NULL,
    balance_yen     INTEGER NOT NULL,
    detail          TEXT,               -- the rest of the outcome, when there is any
    created_on      TEXT    NOT NULL,   -- YYYY-MM-DD
    PRIMARY KEY (idempotency_key, wallet_id)
) WITHOUT ROWID;

-- What the world must hear, written with the money that caused it and delivered at least once.
CREATE TABLE am_credit_outbox (
    event_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    wallet_id    INTEGER NOT NULL REFERENCES am_credit_wallet (wallet_id),
    kind         TEXT    NOT NULL,      -- alert_fired, topup_due, wallet_exhausted …
    payload      TEXT    NOT NULL,      -- JSON
    occurred_at  TEXT    NOT NULL,
    delivered_at TEXT
);
CREATE INDEX idx_am_credit_outbox_undelivered ON am_credit_outbox (event_id) WHERE delivered_at IS NULL;

-- SHA-256 over ranges of entries, each seal over the one before it as well.
CREATE TABLE am_credit_seal (
    seal_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    first_txn_id INTEGER NOT NULL,
    last_txn_id  INTEGER NOT NULL CHECK (last_txn_id >= first_txn_id),
    entries      INTEGER NOT NULL CHECK (entries > 0),
    sha256       TEXT    NOT NULL CHECK (length(sha256) = 64),
    sealed_at    TEXT    NOT NULL
);
