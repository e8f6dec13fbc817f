-- 283: what a wallet knows about itself, so that a charge touches one row of one table besides its ledger entry.
--
-- Σ entries + opening_yen = balance_yen + held_yen, and the open lots add up to balance_yen.

ALTER TABLE am_credit_wallet
    ADD COLUMN label TEXT,
    ADD COLUMN budget_mode TEXT NOT NULL DEFAULT 'alert' CHECK (budget_mode IN ('alert', 'cap')),
    ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC',      -- of the billing cycle; IANA name
    ADD COLUMN held_yen BIGINT NOT NULL DEFAULT 0 CHECK (held_yen >= 0),
    ADD COLUMN debt_yen BIGINT NOT NULL DEFAULT 0 CHECK (debt_yen >= 0),
    ADD COLUMN opening_yen BIGINT NOT NULL DEFAULT 0,      -- what no entry explained at adoption
    ADD COLUMN open_lots TEXT NOT NULL DEFAULT '[]',       -- [[lot_id,kind,remaining_yen,expires_at],…]
    ADD COLUMN current_cycle TEXT COLLATE "C",             -- YYYY-MM
    ADD COLUMN cycle_spent_yen BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN alerted_pct INTEGER NOT NULL DEFAULT 0,     -- highest threshold fired in the cycle
    ADD COLUMN last_txn_id BIGINT,                         -- end of its chain; NULL = not adopted
    ADD COLUMN next_due_at TEXT COLLATE "C",               -- a hold or a lot expires then
    ADD COLUMN exhausted INTEGER NOT NULL DEFAULT 0 CHECK (exhausted IN (0, 1));

-- No index on what is not adopted, unlike SQLite: a charge changes last_txn_id, and an index that names the column would
-- keep PostgreSQL from updating the row in place (HOT).
CREATE INDEX idx_am_credit_wallet_due ON am_credit_wallet (next_due_at) WHERE next_due_at IS NOT NULL;

-- The register of lots as they were granted. What is left of an open lot rides on its wallet's row (open_lots).
-- lot_id is the entry that brought the credit; 0 is what an adopted wallet started with.
CREATE TABLE am_credit_lot (
    wallet_id   BIGINT NOT NULL REFERENCES am_credit_wallet (wallet_id),
    lot_id      BIGINT NOT NULL,
    kind        TEXT   NOT NULL CHECK (kind IN ('paid', 'promo')),
    granted_yen BIGINT NOT NULL CHECK (granted_yen > 0),
    expires_at  TEXT   COLLATE "C",
    PRIMARY KEY (wallet_id, lot_id)
);

-- Yen set aside for calls whose price is known afterwards. They are out of the balance while the hold is open.
CREATE SEQUENCE am_credit_hold_hold_id_seq;
CREATE TABLE am_credit_hold (
    hold_id      BIGINT NOT NULL DEFAULT nextval('am_credit_hold_hold_id_seq'),
    wallet_id    BIGINT NOT NULL REFERENCES am_credit_wallet (wallet_id),
    key_id       BIGINT,
    amount_yen   BIGINT NOT NULL CHECK (amount_yen > 0),
    captured_yen BIGINT NOT NULL DEFAULT 0 CHECK (captured_yen BETWEEN 0 AND amount_yen),
    status       TEXT   NOT NULL CHECK (status IN ('open', 'captured', 'released', 'expired')),
    lots         TEXT   NOT NULL,
    note         TEXT,
    created_at   TEXT   COLLATE "C" NOT NULL,
    expires_at   TEXT   COLLATE "C" NOT NULL,
    closed_at    TEXT   COLLATE "C",
    PRIMARY KEY (hold_id, wallet_id)
);
CREATE INDEX idx_am_credit_hold_open ON am_credit_hold (wallet_id, expires_at) WHERE status = 'open';

-- How much of a charge was refunded, or of a top-up reversed.
CREATE TABLE am_credit_returned (
    wallet_id    BIGINT NOT NULL REFERENCES am_credit_wallet (wallet_id),
    txn_id       BIGINT NOT NULL,
    returned_yen BIGINT NOT NULL CHECK (returned_yen > 0),
    PRIMARY KEY (wallet_id, txn_id)
);

-- Spending of the cycles that a wallet's row (key_id 0) or an agent key's row has left behind.
CREATE TABLE am_credit_cycle_spend (
    billing_cycle TEXT   COLLATE "C" NOT NULL CHECK (length(billing_cycle) = 7),
    wallet_id     BIGINT NOT NULL REFERENCES am_credit_wallet (wallet_id),
    key_id        BIGINT NOT NULL DEFAULT 0,
    spent_yen     BIGINT NOT NULL,
    PRIMARY KEY (billing_cycle, wallet_id, key_id)
);
