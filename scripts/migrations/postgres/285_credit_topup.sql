-- 285: money in — top-ups through a payment provider, and what each wallet pays with by itself.

-- One row per top-up, from the wish to the credit. Its id is made from wallet and idempotency key, so that a retry names
-- the same row here and the same request at the provider.
CREATE TABLE am_credit_topup (
    topup_id         TEXT    COLLATE "C" NOT NULL,
    wallet_id        BIGINT  NOT NULL REFERENCES am_credit_wallet (wallet_id),
    amount_yen       BIGINT  NOT NULL CHECK (amount_yen > 0),
    origin           TEXT    NOT NULL CHECK (origin IN ('owner', 'auto', 'found')),
    way              TEXT    NOT NULL CHECK (way IN ('intent', 'checkout')),
    status           TEXT    NOT NULL CHECK (status IN ('requested', 'pending', 'requires_action', 'succeeded',
                                                        'credited', 'failed', 'canceled')),
    processing       INTEGER NOT NULL DEFAULT 0 CHECK (processing IN (0, 1)),  -- the money is on its way
    payment_intent   TEXT,
    checkout_session TEXT,
    told_at          BIGINT  NOT NULL DEFAULT 0,      -- when the provider said the status, Unix seconds
    received_yen     BIGINT  NOT NULL DEFAULT 0 CHECK (received_yen >= 0),
    takings          TEXT    NOT NULL DEFAULT '[]',   -- refunds and disputes, [[id, yen, stage],…]
    credited_yen     BIGINT  NOT NULL DEFAULT 0,      -- in the ledger
    reversed_yen     BIGINT  NOT NULL DEFAULT 0,      -- taken back of it, or owed
    credit_txn_id    BIGINT,
    reason           TEXT,                            -- why it failed or waits, in the provider's words
    action_url       TEXT,                            -- where a person goes on
    created_at       TEXT    COLLATE "C" NOT NULL,
    updated_at       TEXT    COLLATE "C" NOT NULL,
    PRIMARY KEY (topup_id, wallet_id)
);
CREATE INDEX idx_am_credit_topup_wallet ON am_credit_topup (wallet_id, created_at);
CREATE INDEX idx_am_credit_topup_open ON am_credit_topup (updated_at)
    WHERE status IN ('requested', 'pending', 'requires_action', 'succeeded');
CREATE INDEX idx_am_credit_topup_payment ON am_credit_topup (payment_intent) WHERE payment_intent IS NOT NULL;

-- How each top-up came to its status.
CREATE SEQUENCE am_credit_topup_history_event_id_seq;
CREATE TABLE am_credit_topup_history (
    event_id     BIGINT  NOT NULL DEFAULT nextval('am_credit_topup_history_event_id_seq'),
    topup_id     TEXT    COLLATE "C" NOT NULL,
    wallet_id    BIGINT  NOT NULL REFERENCES am_credit_wallet (wallet_id),
    status       TEXT    NOT NULL,
    received_yen BIGINT  NOT NULL,
    taken_yen    BIGINT  NOT NULL,                    -- refunded or disputed of it
    reason       TEXT,
    occurred_at  TEXT    COLLATE "C" NOT NULL,
    PRIMARY KEY (event_id, wallet_id)
);
CREATE INDEX idx_am_credit_topup_history_topup ON am_credit_topup_history (topup_id);

-- What a wallet pays its automatic top-ups with, and whether it may.
CREATE TABLE am_credit_payer (
    wallet_id      BIGINT  NOT NULL PRIMARY KEY REFERENCES am_credit_wallet (wallet_id),
    customer       TEXT,                              -- the provider's
    payment_method TEXT,
    failures       BIGINT  NOT NULL DEFAULT 0,        -- automatic top-ups declined in a row
    retry_at       TEXT    COLLATE "C",                  -- not before
    stopped        INTEGER NOT NULL DEFAULT 0 CHECK (stopped IN (0, 1)),  -- until a person acts
    reason         TEXT,
    updated_at     TEXT    COLLATE "C" NOT NULL
);

-- The random name of this ledger. Payments carry it, so that ledgers which share an account at the provider do not take
-- each other's money.
CREATE TABLE am_credit_installation (
    installation_id TEXT NOT NULL PRIMARY KEY
);
INSERT INTO am_credit_installation (installation_id) VALUES (substr(replace(gen_random_uuid()::text, '-', ''), 1, 16));
