-- 309: who may do what — operators with names, roles and keys of their own; scopes of agent keys; tokens that were revoked.

-- Operators belong to no wallet. The keys of the environment are none of these: they make the first.
CREATE SEQUENCE am_credit_operator_operator_id_seq;
CREATE TABLE am_credit_operator (
    operator_id BIGINT NOT NULL DEFAULT nextval('am_credit_operator_operator_id_seq'),
    wallet_id   BIGINT NOT NULL DEFAULT 0 CHECK (wallet_id = 0),
    name        TEXT   COLLATE "C" NOT NULL,
    role        TEXT   COLLATE "C" NOT NULL CHECK (role IN ('viewer', 'support', 'finance', 'seller', 'admin')),
    created_at  TEXT   COLLATE "C" NOT NULL,
    revoked_at  TEXT   COLLATE "C",
    PRIMARY KEY (operator_id, wallet_id),
    UNIQUE (name, wallet_id)
);

CREATE SEQUENCE am_credit_operator_key_operator_key_id_seq;
CREATE TABLE am_credit_operator_key (
    operator_key_id BIGINT NOT NULL DEFAULT nextval('am_credit_operator_key_operator_key_id_seq'),
    wallet_id       BIGINT NOT NULL DEFAULT 0 CHECK (wallet_id = 0),
    operator_id     BIGINT NOT NULL,
    token_hash      TEXT   COLLATE "C" NOT NULL CHECK (length(token_hash) = 64),
    token_prefix    TEXT   COLLATE "C" NOT NULL,       -- its first characters, to tell keys apart
    created_at      TEXT   COLLATE "C" NOT NULL,
    ends_at         TEXT   COLLATE "C",                -- of an earlier key, after a rotation
    revoked_at      TEXT   COLLATE "C",
    PRIMARY KEY (operator_key_id, wallet_id),
    UNIQUE (token_hash, wallet_id)
);
CREATE INDEX idx_am_credit_operator_key ON am_credit_operator_key (operator_id, operator_key_id);

-- What an agent key may do: 'spend', 'read' and 'manage', in this order, with commas. None: spend and read.
ALTER TABLE am_credit_key ADD COLUMN scopes TEXT COLLATE "C";

-- Tokens that were revoked by naming them, and what they opened: asked again, the answer is the same. SHA-256 only.
CREATE TABLE am_credit_revoked_token (
    token_hash  TEXT   COLLATE "C" NOT NULL CHECK (length(token_hash) = 64),
    wallet_id   BIGINT NOT NULL,                       -- 0: a seller's or an operator's
    kind        TEXT   COLLATE "C" NOT NULL,
    key_id      BIGINT NOT NULL DEFAULT 0,
    seller_id   BIGINT NOT NULL DEFAULT 0,
    operator_id BIGINT NOT NULL DEFAULT 0,
    revoked_at  TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (token_hash, wallet_id)
);
