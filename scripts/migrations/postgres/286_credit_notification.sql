-- 286: alerts that arrive — a wallet's own thresholds, where notices go, each delivery, what an hour usually costs.

ALTER TABLE am_credit_wallet ADD COLUMN low_balance_yen BIGINT NOT NULL DEFAULT 0 CHECK (low_balance_yen >= 0);
ALTER TABLE am_credit_wallet ADD COLUMN alert_thresholds TEXT NOT NULL DEFAULT '[]';  -- beside 50, 80 and 100: [percent,…]

-- The same key never tells a wallet's owner twice. What was told before this migration counts as handed out.
ALTER TABLE am_credit_outbox ADD COLUMN dedupe_key TEXT COLLATE "C";
ALTER TABLE am_credit_outbox ADD COLUMN handed_out INTEGER NOT NULL DEFAULT 1 CHECK (handed_out IN (0, 1));
CREATE UNIQUE INDEX idx_am_credit_outbox_dedupe ON am_credit_outbox (wallet_id, dedupe_key)
    WHERE dedupe_key IS NOT NULL;
CREATE INDEX idx_am_credit_outbox_to_hand_out ON am_credit_outbox (event_id) WHERE handed_out = 0;

-- The thresholds of a wallet's own that fired; 50, 80 and 100 are in am_credit_spending_alert.
CREATE SEQUENCE am_credit_threshold_alert_alert_id_seq;
CREATE TABLE am_credit_threshold_alert (
    alert_id      BIGINT  NOT NULL DEFAULT nextval('am_credit_threshold_alert_alert_id_seq'),
    wallet_id     BIGINT  NOT NULL REFERENCES am_credit_wallet (wallet_id),
    threshold_pct INTEGER NOT NULL CHECK (threshold_pct > 0),
    billing_cycle TEXT    COLLATE "C" NOT NULL CHECK (length(billing_cycle) = 7),
    fired_at      TEXT    COLLATE "C" NOT NULL,
    spent_yen     BIGINT  NOT NULL CHECK (spent_yen >= 0),
    budget_yen    BIGINT  NOT NULL CHECK (budget_yen >= 0),
    PRIMARY KEY (alert_id, wallet_id),
    UNIQUE (wallet_id, threshold_pct, billing_cycle)
);

-- Where a wallet's notices go; wallet_id 0 is the operator, who hears of every wallet.
CREATE SEQUENCE am_credit_target_target_id_seq;
CREATE TABLE am_credit_target (
    target_id   BIGINT  NOT NULL DEFAULT nextval('am_credit_target_target_id_seq'),
    wallet_id   BIGINT  NOT NULL,
    url         TEXT    NOT NULL,
    kinds       TEXT    NOT NULL DEFAULT '[]',   -- what it wants to hear; empty: everything a person should
    language    TEXT    NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'ja')),
    quiet_hours TEXT,                            -- HH:MM-HH:MM
    digest      TEXT,                            -- hourly, or HH:MM every day
    time_zone   TEXT    NOT NULL DEFAULT 'UTC',  -- of both; IANA name
    secrets     TEXT    NOT NULL DEFAULT '[]',   -- that sign a webhook, newest first: [[secret, until],…]
    stopped     TEXT,                            -- why nothing is sent to it any more
    created_at  TEXT    COLLATE "C" NOT NULL,
    PRIMARY KEY (target_id, wallet_id),
    UNIQUE (wallet_id, url)
);

-- One row per event and target.
CREATE SEQUENCE am_credit_delivery_delivery_id_seq;
CREATE TABLE am_credit_delivery (
    delivery_id     BIGINT  NOT NULL DEFAULT nextval('am_credit_delivery_delivery_id_seq'),
    wallet_id       BIGINT  NOT NULL REFERENCES am_credit_wallet (wallet_id),
    event_id        BIGINT  NOT NULL,
    target_id       BIGINT  NOT NULL,
    status          TEXT    NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'dead')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TEXT    COLLATE "C" NOT NULL,
    last_error      TEXT,
    created_at      TEXT    COLLATE "C" NOT NULL,
    delivered_at    TEXT    COLLATE "C",
    PRIMARY KEY (delivery_id, wallet_id),
    UNIQUE (event_id, target_id, wallet_id)
);
CREATE INDEX idx_am_credit_delivery_due ON am_credit_delivery (next_attempt_at) WHERE status = 'pending';
CREATE INDEX idx_am_credit_delivery_wallet ON am_credit_delivery (wallet_id, delivery_id);

-- What wallets spent in each of the last hours (UTC), and up to which entry it has been counted.
CREATE TABLE am_credit_hour_spend (
    wallet_id BIGINT NOT NULL REFERENCES am_credit_wallet (wallet_id),
    hour      TEXT   COLLATE "C" NOT NULL CHECK (length(hour) = 13),   -- YYYY-MM-DDTHH
    spent_yen BIGINT NOT NULL,
    PRIMARY KEY (wallet_id, hour)
);
CREATE INDEX idx_am_credit_hour_spend_hour ON am_credit_hour_spend (hour);
CREATE TABLE am_credit_counted (
    counted     TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    last_txn_id BIGINT NOT NULL
);
INSERT INTO am_credit_counted (counted, last_txn_id)
SELECT 'hour_spend', coalesce(max(txn_id), 0) FROM am_credit_transaction_log;
