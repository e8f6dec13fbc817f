-- 298: what charges were for, added up by the hour, day and month, so that questions do not read the ledger.
--
-- A background job counts each entry once, in the order of txn_id. The periods are those of the wallet's time zone: an hour
-- is named by the UTC instant at which it begins, YYYY-MM-DDTHH, with :MM in zones that are not whole hours from UTC; a day
-- by its date, YYYY-MM-DD; a month by its billing cycle, YYYY-MM.

CREATE TABLE am_credit_usage (
    wallet_id         INTEGER NOT NULL,
    every             TEXT    NOT NULL CHECK (every IN ('hour', 'day', 'month')),
    dimension         TEXT    NOT NULL,            -- '': everything; '.key'; '.item'; or the key of a fact
    key_id            INTEGER NOT NULL,            -- whose: 0, all charges of the wallet; else those that the agent key paid
    period            TEXT    NOT NULL,
    value             TEXT    NOT NULL,            -- '': all charges that have the dimension
    charges           INTEGER NOT NULL,
    item              TEXT    NOT NULL,            -- of all its charges; '': none names one; '*': several
    quantity_units    INTEGER NOT NULL,            -- 0 unless they are all for one item
    quantity_fraction INTEGER NOT NULL CHECK (quantity_fraction BETWEEN 0 AND 999999),
    amount_yen        INTEGER NOT NULL,            -- of the charges; the micros beyond whole yen stand apart
    amount_fraction   INTEGER NOT NULL CHECK (amount_fraction BETWEEN 0 AND 999999),
    refunded_yen      INTEGER NOT NULL,            -- in this period, of charges of any
    refunded_fraction INTEGER NOT NULL CHECK (refunded_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (wallet_id, every, dimension, key_id, period, value)
) WITHOUT ROWID;

-- A wallet's usage begins with its first entry that says who paid or what for: wallets that never say so have no rows.
CREATE TABLE am_credit_usage_start (
    wallet_id    INTEGER NOT NULL PRIMARY KEY,
    first_txn_id INTEGER NOT NULL
);

-- Entries from before are counted as well.
INSERT INTO am_credit_counted (counted, last_txn_id) VALUES ('usage', 0);
