-- 288: identity apart from its secrets — tokens beside the current one, hosts' own keys, and sellers.

-- Who sells to the wallets: may charge, hold, capture and refund, and nothing else. They belong to no wallet.
CREATE SEQUENCE am_credit_seller_seller_id_seq;
CREATE TABLE am_credit_seller (
    seller_id  BIGINT NOT NULL DEFAULT nextval('am_credit_seller_seller_id_seq'),
    wallet_id  BIGINT NOT NULL DEFAULT 0 CHECK (wallet_id = 0),
    label      TEXT,
    created_at TEXT   COLLATE "C" NOT NULL,
    revoked_at TEXT   COLLATE "C",
    PRIMARY KEY (seller_id, wallet_id)
);

-- What opens an identity beside its current token, which stays on its own row: earlier tokens while they overlap, the
-- keys of hosts that have such, and all tokens of sellers. SHA-256 only.
CREATE TABLE am_credit_secret (
    token_hash TEXT    COLLATE "C" NOT NULL CHECK (length(token_hash) = 64),
    wallet_id  BIGINT  NOT NULL,                     -- 0: a seller's
    key_id     BIGINT  NOT NULL DEFAULT 0,           -- 0: the owner's
    seller_id  BIGINT  NOT NULL DEFAULT 0,
    registered INTEGER NOT NULL DEFAULT 0 CHECK (registered IN (0, 1)),  -- a host's; else a token of ours
    created_at TEXT    COLLATE "C" NOT NULL,
    ends_at    TEXT    COLLATE "C",
    CHECK ((wallet_id = 0) = (seller_id > 0) AND (wallet_id > 0 OR key_id = 0)),
    PRIMARY KEY (token_hash, wallet_id)
);
CREATE INDEX idx_am_credit_secret_wallet ON am_credit_secret (wallet_id, key_id);

-- Which seller made a charge, so that it can give the charge back. Charges of others have no row.
CREATE TABLE am_credit_sale (
    wallet_id BIGINT NOT NULL,
    txn_id    BIGINT NOT NULL,
    seller_id BIGINT NOT NULL,
    PRIMARY KEY (wallet_id, txn_id)
);
