-- 316: sessions — people who are signed in to the pages, and links by which an operator lets a customer in. SHA-256 only: neither a
-- session's secret nor a link's is stored.

CREATE SEQUENCE am_credit_session_session_id_seq;
CREATE TABLE am_credit_session (
    session_id   BIGINT   NOT NULL DEFAULT nextval('am_credit_session_session_id_seq'),
    wallet_id    BIGINT   NOT NULL,                    -- 0: an operator's
    secret_hash  TEXT     COLLATE "C" NOT NULL CHECK (length(secret_hash) = 64),
    earlier_hash TEXT     COLLATE "C"          CHECK (length(earlier_hash) = 64),
    rotated_at   TEXT     COLLATE "C" NOT NULL,        -- since when secret_hash is the secret
    csrf         TEXT     COLLATE "C" NOT NULL,        -- what forms must bring; opens nothing without the secret
    opened_by    TEXT     COLLATE "C" NOT NULL,        -- who: owner, agent:7, operator:3, operator:<key>, link:<who made it>
    token_hash   TEXT     COLLATE "C"          CHECK (length(token_hash) = 64),  -- what must open something for the session to
    scopes       TEXT     COLLATE "C",                 -- of a link, with commas
    embedded     SMALLINT NOT NULL DEFAULT 0 CHECK (embedded IN (0, 1)),
    language     TEXT     COLLATE "C",
    created_at   TEXT     COLLATE "C" NOT NULL,
    used_at      TEXT     COLLATE "C" NOT NULL,        -- at most a minute old while it is used
    PRIMARY KEY (session_id, wallet_id),
    UNIQUE (secret_hash, wallet_id)
);
CREATE INDEX idx_am_credit_session_earlier ON am_credit_session (earlier_hash) WHERE earlier_hash IS NOT NULL;
CREATE INDEX idx_am_credit_session_of ON am_credit_session (wallet_id, opened_by, used_at);

CREATE TABLE am_credit_link (
    secret_hash TEXT   COLLATE "C" NOT NULL CHECK (length(secret_hash) = 64),
    wallet_id   BIGINT NOT NULL,
    made_by     TEXT   COLLATE "C" NOT NULL,
    token_hash  TEXT   COLLATE "C"          CHECK (length(token_hash) = 64),   -- of the operator key that made it
    scopes      TEXT   COLLATE "C" NOT NULL,
    path        TEXT   COLLATE "C" NOT NULL,           -- of the page that it leads to
    language    TEXT   COLLATE "C",
    created_at  TEXT   COLLATE "C" NOT NULL,
    expires_at  TEXT   COLLATE "C" NOT NULL,
    taken_at    TEXT   COLLATE "C",
    PRIMARY KEY (secret_hash, wallet_id)
);
CREATE INDEX idx_am_credit_link_wallet ON am_credit_link (wallet_id, created_at);
