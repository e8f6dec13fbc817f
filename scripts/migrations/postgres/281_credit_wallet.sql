-- 281: the agent credit wallet — three tables and one view. The PostgreSQL dialect of ../281_credit_wallet.sql.
--
-- Same tables, columns and rules, with two differences of shape (docs/decisions/0012): every primary key and unique
-- constraint contains wallet_id, so that the tables can be partitioned or distributed by it, and times are text in the
-- one format that both databases compare alike.

CREATE SEQUENCE IF NOT EXISTS am_credit_wallet_wallet_id_seq;
CREATE TABLE IF NOT EXISTS am_credit_wallet (
    wallet_id            BIGINT  NOT NULL DEFAULT nextval('am_credit_wallet_wallet_id_seq'),
    owner_token_hash     TEXT    COLLATE "C" NOT NULL CHECK (length(owner_token_hash) = 64),  -- SHA-256, hex
    balance_yen          BIGINT  NOT NULL DEFAULT 0 CHECK (balance_yen >= 0),
    auto_topup_threshold BIGINT  NOT NULL DEFAULT 0 CHECK (auto_topup_threshold >= 0),
    auto_topup_amount    BIGINT  NOT NULL DEFAULT 0 CHECK (auto_topup_amount >= 0),
    monthly_budget_yen   BIGINT  NOT NULL DEFAULT 0 CHECK (monthly_budget_yen >= 0),          -- for alerts; 0 = none
    enabled              INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created_at           TEXT    COLLATE "C" NOT NULL
                         DEFAULT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    updated_at           TEXT    COLLATE "C" NOT NULL
                         DEFAULT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    PRIMARY KEY (wallet_id),
    UNIQUE (owner_token_hash, wallet_id)
);

CREATE SEQUENCE IF NOT EXISTS am_credit_transaction_log_txn_id_seq;
CREATE TABLE IF NOT EXISTS am_credit_transaction_log (
    txn_id      BIGINT NOT NULL DEFAULT nextval('am_credit_transaction_log_txn_id_seq'),
    wallet_id   BIGINT NOT NULL,
    amount_yen  BIGINT NOT NULL,
    txn_type    TEXT   COLLATE "C" NOT NULL,
    occurred_at TEXT   COLLATE "C" NOT NULL
                DEFAULT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    note        TEXT,
    PRIMARY KEY (txn_id, wallet_id),
    CONSTRAINT am_credit_transaction_log_types CHECK (txn_type IN ('topup', 'charge', 'refund')),
    CONSTRAINT am_credit_transaction_log_signs
        CHECK (CASE WHEN txn_type = 'charge' THEN amount_yen < 0 ELSE amount_yen > 0 END)
);

CREATE SEQUENCE IF NOT EXISTS am_credit_spending_alert_alert_id_seq;
CREATE TABLE IF NOT EXISTS am_credit_spending_alert (
    alert_id      BIGINT  NOT NULL DEFAULT nextval('am_credit_spending_alert_alert_id_seq'),
    wallet_id     BIGINT  NOT NULL REFERENCES am_credit_wallet (wallet_id),
    threshold_pct INTEGER NOT NULL CHECK (threshold_pct IN (50, 80, 100)),
    billing_cycle TEXT    COLLATE "C" NOT NULL CHECK (length(billing_cycle) = 7),            -- YYYY-MM
    fired_at      TEXT    COLLATE "C" NOT NULL
                  DEFAULT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    spent_yen     BIGINT  NOT NULL CHECK (spent_yen >= 0),
    budget_yen    BIGINT  NOT NULL CHECK (budget_yen >= 0),
    PRIMARY KEY (alert_id, wallet_id),
    UNIQUE (wallet_id, threshold_pct, billing_cycle)
);

CREATE INDEX IF NOT EXISTS idx_am_credit_spending_alert_cycle
    ON am_credit_spending_alert (billing_cycle, wallet_id);

CREATE OR REPLACE VIEW v_credit_wallet_topup_due AS
SELECT wallet_id, owner_token_hash, balance_yen, auto_topup_threshold, auto_topup_amount
FROM am_credit_wallet
WHERE enabled = 1
  AND auto_topup_threshold > 0
  AND auto_topup_amount > 0
  AND balance_yen < auto_topup_threshold;
