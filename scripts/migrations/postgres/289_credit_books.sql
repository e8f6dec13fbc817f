-- 289: books that tie — which entries are of which billing cycle, and what was taken back of a top-up.

-- Runs of consecutive entries of one cycle, in the order of the wallet's chain: a run ends at last_txn_id with
-- closing_yen in the ledger. Only runs that have ended are here; the open one is of the wallet's current_cycle.
CREATE TABLE am_credit_cycle_segment (
    wallet_id     BIGINT NOT NULL REFERENCES am_credit_wallet (wallet_id),
    segment_no    BIGINT NOT NULL CHECK (segment_no > 0),
    last_txn_id   BIGINT NOT NULL,
    billing_cycle TEXT   COLLATE "C" NOT NULL CHECK (length(billing_cycle) = 7),
    closing_yen   BIGINT NOT NULL,
    PRIMARY KEY (wallet_id, segment_no)
);

-- What was taken back of a top-up and has not come again: from which lots, and what is still owed of it.
CREATE TABLE am_credit_clawback (
    wallet_id     BIGINT NOT NULL REFERENCES am_credit_wallet (wallet_id),
    credit_txn_id BIGINT NOT NULL,
    taken         TEXT   NOT NULL,                       -- [[lot_id,amount_yen],…], first taken first
    owed_yen      BIGINT NOT NULL CHECK (owed_yen >= 0),
    PRIMARY KEY (wallet_id, credit_txn_id)
);

-- Both are made for the entries that are there when the database is brought up to date; 'books' says that they are.
INSERT INTO am_credit_counted (counted, last_txn_id)
SELECT 'books', 0 WHERE NOT EXISTS (SELECT 1 FROM am_credit_transaction_log);
