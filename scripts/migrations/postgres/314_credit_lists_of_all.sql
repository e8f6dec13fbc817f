-- 314: lists over all wallets, newest first: top-ups, also by status, and deliveries by status; and what each month brought
-- in and took out of the ledger as a whole.

CREATE INDEX idx_am_credit_topup_newest ON am_credit_topup (created_at, topup_id);
CREATE INDEX idx_am_credit_topup_status ON am_credit_topup (status, created_at, topup_id);
CREATE INDEX idx_am_credit_delivery_status ON am_credit_delivery (status, delivery_id);

-- Sums over the entries of all wallets, by month (UTC), type and cause. They are counted in the background, up to an entry.
CREATE TABLE am_credit_month_total (
    month           TEXT    COLLATE "C" NOT NULL,
    txn_type        TEXT    COLLATE "C" NOT NULL,
    cause           TEXT    COLLATE "C" NOT NULL,    -- empty: none
    entries         BIGINT  NOT NULL,
    amount_yen      BIGINT  NOT NULL,
    amount_fraction INTEGER NOT NULL DEFAULT 0 CHECK (amount_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (month, txn_type, cause)
);
INSERT INTO am_credit_counted (counted, last_txn_id) VALUES ('month_totals', 0);

-- The latest count of all wallets: as JSON, since it is read as a whole and nothing is decided by it.
CREATE TABLE am_credit_totals (
    totals_id  INTEGER PRIMARY KEY CHECK (totals_id = 1),
    counted_at TEXT    COLLATE "C" NOT NULL,
    figures    TEXT    NOT NULL
);
