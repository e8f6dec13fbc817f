-- 298: what charges were for, added up by the hour and by the day, so that questions do not read the ledger.
--
-- A background job counts each entry once, in the order of txn_id. The hours and days are those of the wallet's time zone:
-- an hour is named by the UTC instant at which it begins, YYYY-MM-DDTHH, with :MM in zones that are not whole hours from
-- UTC; a day by its date.

CREATE TABLE am_credit_usage_hour (
    wallet_id         INTEGER NOT NULL,
    key_id            INTEGER NOT NULL,            -- 0: everything in the wallet; else what this agent key paid
    dimension         TEXT    NOT NULL,            -- '': no dimension; '.key', '.item', or the key of a fact
    hour              TEXT    NOT NULL,
    value             TEXT    NOT NULL,            -- '': all charges that have the dimension
    charges           INTEGER NOT NULL,
    item              TEXT    NOT NULL,            -- of all its charges; '': none names one; '*': several
    quantity_units    INTEGER NOT NULL,            -- 0 unless they are all for one item
    quantity_fraction INTEGER NOT NULL CHECK (quantity_fraction BETWEEN 0 AND 999999),
    amount_yen        INTEGER NOT NULL,            -- of the charges; the micros beyond whole yen stand apart
    amount_fraction   INTEGER NOT NULL CHECK (amount_fraction BETWEEN 0 AND 999999),
    refunded_yen      INTEGER NOT NULL,            -- in this hour, of charges of any hour
    refunded_fraction INTEGER NOT NULL CHECK (refunded_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (wallet_id, key_id, dimension, hour, value)
) WITHOUT ROWID;

CREATE TABLE am_credit_usage_day (
    wallet_id         INTEGER NOT NULL,
    key_id            INTEGER NOT NULL,
    dimension         TEXT    NOT NULL,
    day               TEXT    NOT NULL CHECK (length(day) = 10),   -- YYYY-MM-DD
    value             TEXT    NOT NULL,
    charges           INTEGER NOT NULL,
    item              TEXT    NOT NULL,
    quantity_units    INTEGER NOT NULL,
    quantity_fraction INTEGER NOT NULL CHECK (quantity_fraction BETWEEN 0 AND 999999),
    amount_yen        INTEGER NOT NULL,
    amount_fraction   INTEGER NOT NULL CHECK (amount_fraction BETWEEN 0 AND 999999),
    refunded_yen      INTEGER NOT NULL,
    refunded_fraction INTEGER NOT NULL CHECK (refunded_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (wallet_id, key_id, dimension, day, value)
) WITHOUT ROWID;

-- Entries from before are counted as well.
INSERT INTO am_credit_counted (counted, last_txn_id) VALUES ('usage', 0);
