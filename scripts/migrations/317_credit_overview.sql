-- 317: what each quarter of an hour brought in and took out of the ledger as a whole, for the operators' overview; and the
-- wallets whose automatic top-ups wait for a person.

-- Sums over the entries of all wallets of the last weeks, by quarter of an hour (UTC), type, cause and kind of credit. They
-- are counted in the background, up to an entry.
CREATE TABLE am_credit_quarter_total (
    quarter         TEXT    NOT NULL,                -- when it begins: YYYY-MM-DDTHH:MM
    txn_type        TEXT    NOT NULL,
    cause           TEXT    NOT NULL,                -- empty: none
    kind            TEXT    NOT NULL,                -- paid or promo, of top-ups that opened a lot; else empty
    entries         INTEGER NOT NULL,
    amount_yen      INTEGER NOT NULL,
    amount_fraction INTEGER NOT NULL DEFAULT 0 CHECK (amount_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (quarter, txn_type, cause, kind)
) WITHOUT ROWID;
INSERT INTO am_credit_counted (counted, last_txn_id) VALUES ('quarter_totals', 0);

CREATE INDEX idx_am_credit_payer_stopped ON am_credit_payer (wallet_id) WHERE stopped = 1;
