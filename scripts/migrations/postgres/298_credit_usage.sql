-- 298: what charges were for, added up by the hour and by the day, so that questions do not read the ledger.
--
-- A background job counts each entry once, in the order of txn_id. The hours and days are those of the wallet's time zone:
-- an hour is named by the UTC instant at which it begins, YYYY-MM-DDTHH, with :MM in zones that are not whole hours from
-- UTC; a day by its date.

CREATE TABLE am_credit_usage_hour (
    wallet_id         BIGINT NOT NULL,
    key_id            BIGINT NOT NULL,            -- 0: everything in the wallet; else what this agent key paid
    dimension         TEXT   COLLATE "C" NOT NULL,            -- '': no dimension; '.key', '.item', or the key of a fact
    hour              TEXT   COLLATE "C" NOT NULL,
    value             TEXT   COLLATE "C" NOT NULL,            -- '': all charges that have the dimension
    charges           BIGINT NOT NULL,
    item              TEXT   COLLATE "C" NOT NULL,            -- of all its charges; '': none names one; '*': several
    quantity_units    BIGINT NOT NULL,            -- 0 unless they are all for one item
    quantity_fraction BIGINT NOT NULL CHECK (quantity_fraction BETWEEN 0 AND 999999),
    amount_yen        BIGINT NOT NULL,            -- of the charges; the micros beyond whole yen stand apart
    amount_fraction   BIGINT NOT NULL CHECK (amount_fraction BETWEEN 0 AND 999999),
    refunded_yen      BIGINT NOT NULL,            -- in this hour, of charges of any hour
    refunded_fraction BIGINT NOT NULL CHECK (refunded_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (wallet_id, key_id, dimension, hour, value)
);

CREATE TABLE am_credit_usage_day (
    wallet_id         BIGINT NOT NULL,
    key_id            BIGINT NOT NULL,
    dimension         TEXT   COLLATE "C" NOT NULL,
    day               TEXT   COLLATE "C" NOT NULL CHECK (length(day) = 10),   -- YYYY-MM-DD
    value             TEXT   COLLATE "C" NOT NULL,
    charges           BIGINT NOT NULL,
    item              TEXT   COLLATE "C" NOT NULL,
    quantity_units    BIGINT NOT NULL,
    quantity_fraction BIGINT NOT NULL CHECK (quantity_fraction BETWEEN 0 AND 999999),
    amount_yen        BIGINT NOT NULL,
    amount_fraction   BIGINT NOT NULL CHECK (amount_fraction BETWEEN 0 AND 999999),
    refunded_yen      BIGINT NOT NULL,
    refunded_fraction BIGINT NOT NULL CHECK (refunded_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (wallet_id, key_id, dimension, day, value)
);

-- Entries from before are counted as well.
INSERT INTO am_credit_counted (counted, last_txn_id) VALUES ('usage', 0);
