-- 297: the price book — what items cost, for whom and since when — and how much of each a wallet has used.

-- Which prices count for the wallet, besides its own and everybody's.
ALTER TABLE am_credit_wallet ADD COLUMN price_group TEXT;

-- Every version of the book, all kept: a charge names the one that it was priced by. It belongs to no wallet.
CREATE TABLE am_credit_price_version (
    version    INTEGER NOT NULL CHECK (version > 0),
    wallet_id  INTEGER NOT NULL DEFAULT 0 CHECK (wallet_id = 0),
    applied_at TEXT    NOT NULL,
    applied_by TEXT    NOT NULL,
    sha256     TEXT    NOT NULL CHECK (length(sha256) = 64),  -- of the file's text
    PRIMARY KEY (version, wallet_id)
) WITHOUT ROWID;

-- All prices of each version. A price has a unit price, or tiers: JSON, [[up_to, unit_price], …] as decimal texts, where
-- the last one's up_to is null.
CREATE TABLE am_credit_price (
    version             INTEGER NOT NULL,
    wallet_id           INTEGER NOT NULL,             -- 0: not one wallet's
    item                TEXT    NOT NULL,
    price_group         TEXT    NOT NULL DEFAULT '',  -- empty: not a group's
    valid_from          TEXT    NOT NULL DEFAULT '',  -- empty: always
    per                 INTEGER NOT NULL CHECK (per > 0),  -- how many units the unit price is for
    unit_price_yen      INTEGER NOT NULL DEFAULT 0 CHECK (unit_price_yen >= 0),
    unit_price_fraction INTEGER NOT NULL DEFAULT 0 CHECK (unit_price_fraction BETWEEN 0 AND 999999),
    tiers               TEXT,
    CHECK (wallet_id = 0 OR price_group = ''),
    PRIMARY KEY (version, wallet_id, item, price_group, valid_from)
) WITHOUT ROWID;

CREATE TRIGGER am_credit_price_version_append_only_delete
BEFORE DELETE ON am_credit_price_version
BEGIN
    SELECT RAISE(ABORT, 'versions of the price book are kept as they are: apply another one');
END;

CREATE TRIGGER am_credit_price_version_append_only_update
BEFORE UPDATE ON am_credit_price_version
BEGIN
    SELECT RAISE(ABORT, 'versions of the price book are kept as they are: apply another one');
END;

CREATE TRIGGER am_credit_price_append_only_delete
BEFORE DELETE ON am_credit_price
BEGIN
    SELECT RAISE(ABORT, 'versions of the price book are kept as they are: apply another one');
END;

CREATE TRIGGER am_credit_price_append_only_update
BEFORE UPDATE ON am_credit_price
BEGIN
    SELECT RAISE(ABORT, 'versions of the price book are kept as they are: apply another one');
END;

-- How much of an item with tiers a wallet has used in a billing cycle: units, and the millionths beyond them.
CREATE TABLE am_credit_tier_usage (
    wallet_id         INTEGER NOT NULL,
    item              TEXT    NOT NULL,
    billing_cycle     TEXT    NOT NULL,
    quantity          INTEGER NOT NULL CHECK (quantity >= 0),
    quantity_fraction INTEGER NOT NULL DEFAULT 0 CHECK (quantity_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (wallet_id, item, billing_cycle)
) WITHOUT ROWID;
