-- 284: what the rail needs around the money — agent keys, idempotency keys, the outbox and the seals.

-- One token per agent. Only its SHA-256 is stored; a monthly cap of 0 means none.
CREATE SEQUENCE am_credit_key_key_id_seq;
CREATE TABLE am_credit_key (
    key_id          BIGINT NOT NULL DEFAULT nextval('am_credit_key_key_id_seq'),
    wallet_id       BIGINT NOT NULL REFERENCES am_credit_wallet (wallet_id),
    token_hash      TEXT   COLLATE "C" NOT NULL CHECK (length(token_hash) = 64),
    label           TEXT,
    monthly_cap_yen BIGINT NOT NULL DEFAULT 0 CHECK (monthly_cap_yen >= 0),
    current_cycle   TEXT   COLLATE "C",
    cycle_spent_yen BIGINT NOT NULL DEFAULT 0,
    held_yen        BIGINT NOT NULL DEFAULT 0 CHECK (held_yen >= 0),
    created_at      TEXT   COLLATE "C" NOT NULL,
    expires_at      TEXT   COLLATE "C",
    revoked_at      TEXT   COLLATE "C",
    PRIMARY KEY (key_id, wallet_id),
    UNIQUE (token_hash, wallet_id)
);
CREATE INDEX idx_am_credit_key_wallet ON am_credit_key (wallet_id);

-- What an idempotency key was used for and what came of it. Keys that grow with time (UUIDv7) land on the same pages of
-- the index. Kept for the retention time, then pruned by created_on.
CREATE TABLE am_credit_idempotency (
    idempotency_key TEXT   COLLATE "C" NOT NULL,
    wallet_id       BIGINT NOT NULL,
    fingerprint     BYTEA  NOT NULL,    -- the request, hashed when long
    txn_id          BIGINT,
    hold_id         BIGINT,
    amount_yen      BIGINT NOT NULL,
    balance_yen     BIGINT NOT NULL,
    detail          TEXT,               -- the rest of the outcome, when there is any
    created_on      TEXT   COLLATE "C" NOT NULL,   -- YYYY-MM-DD
    PRIMARY KEY (idempotency_key, wallet_id)
);

-- What the world must hear, written with the money that caused it and delivered at least once.
CREATE SEQUENCE am_credit_outbox_event_id_seq;
CREATE TABLE am_credit_outbox (
    event_id     BIGINT NOT NULL DEFAULT nextval('am_credit_outbox_event_id_seq'),
    wallet_id    BIGINT NOT NULL REFERENCES am_credit_wallet (wallet_id),
    kind         TEXT   NOT NULL,       -- alert_fired, topup_due, wallet_exhausted …
    payload      TEXT   NOT NULL,       -- JSON
    occurred_at  TEXT   COLLATE "C" NOT NULL,
    delivered_at TEXT   COLLATE "C",
    PRIMARY KEY (event_id, wallet_id)
);
CREATE INDEX idx_am_credit_outbox_undelivered ON am_credit_outbox (event_id) WHERE delivered_at IS NULL;

-- SHA-256 over ranges of entries, each seal over the one before it as well. The one table without a wallet: two sealers
-- that meet at a range are told apart by where it starts.
CREATE SEQUENCE am_credit_seal_seal_id_seq;
CREATE TABLE am_credit_seal (
    seal_id      BIGINT NOT NULL DEFAULT nextval('am_credit_seal_seal_id_seq') PRIMARY KEY,
    first_txn_id BIGINT NOT NULL UNIQUE,
    last_txn_id  BIGINT NOT NULL CHECK (last_txn_id >= first_txn_id),
    entries      BIGINT NOT NULL CHECK (entries > 0),
    sha256       TEXT   NOT NULL CHECK (length(sha256) = 64),
    sealed_at    TEXT   COLLATE "C" NOT NULL
);
