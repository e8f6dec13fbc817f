-- 281: the agent credit wallet — three tables and one view.
--
-- am_credit_wallet            one row per agent owner: prepaid balance, auto-topup, monthly budget
-- am_credit_transaction_log   append-only ledger of top-ups, charges and refunds
-- am_credit_spending_alert    which budget threshold fired in which billing cycle
-- v_credit_wallet_topup_due   the wallets whose balance has fallen below their auto-topup threshold
--
-- Additive and safe to run again: nothing that a host already has is dropped or rewritten.
-- The ledger has no secondary index on purpose; later migrations chain its entries instead (docs/decisions/0003).

CREATE TABLE IF NOT EXISTS am_credit_wallet (
    wallet_id            INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_token_hash     TEXT    NOT NULL UNIQUE CHECK (length(owner_token_hash) = 64),  -- SHA-256, hex
    balance_yen          INTEGER NOT NULL DEFAULT 0 CHECK (balance_yen >= 0),
    auto_topup_threshold INTEGER NOT NULL DEFAULT 0 CHECK (auto_topup_threshold >= 0),
    auto_topup_amount    INTEGER NOT NULL DEFAULT 0 CHECK (auto_topup_amount >= 0),
    monthly_budget_yen   INTEGER NOT NULL DEFAULT 0 CHECK (monthly_budget_yen >= 0),     -- for alerts; 0 = none
    enabled              INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created_at           TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at           TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE IF NOT EXISTS am_credit_transaction_log (
    txn_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    wallet_id   INTEGER NOT NULL REFERENCES am_credit_wallet (wallet_id),
    amount_yen  INTEGER NOT NULL,
    txn_type    TEXT    NOT NULL CHECK (txn_type IN ('topup', 'charge', 'refund')),
    occurred_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    note        TEXT,
    CHECK (CASE WHEN txn_type = 'charge' THEN amount_yen < 0 ELSE amount_yen > 0 END)
);

CREATE TABLE IF NOT EXISTS am_credit_spending_alert (
    alert_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    wallet_id     INTEGER NOT NULL REFERENCES am_credit_wallet (wallet_id),
    threshold_pct INTEGER NOT NULL CHECK (threshold_pct IN (50, 80, 100)),
    billing_cycle TEXT    NOT NULL CHECK (length(billing_cycle) = 7),                    -- YYYY-MM
    fired_at      TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    spent_yen     INTEGER NOT NULL CHECK (spent_yen >= 0),
    budget_yen    INTEGER NOT NULL CHECK (budget_yen >= 0),
    UNIQUE (wallet_id, threshold_pct, billing_cycle)
);

CREATE INDEX IF NOT EXISTS idx_am_credit_spending_alert_cycle
    ON am_credit_spending_alert (billing_cycle, wallet_id);

CREATE VIEW IF NOT EXISTS v_credit_wallet_topup_due AS
SELECT wallet_id, owner_token_hash, balance_yen, auto_topup_threshold, auto_topup_amount
FROM am_credit_wallet
WHERE enabled = 1
  AND auto_topup_threshold > 0
  AND auto_topup_amount > 0
  AND balance_yen < auto_topup_threshold;
