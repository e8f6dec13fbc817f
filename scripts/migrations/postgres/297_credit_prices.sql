-- 297: the price book — what items cost, for whom and since when — and how much of each a wallet has used.

-- Which prices count for the wallet, besides its own and everybody's.
ALTER TABLE am_credit_wallet ADD COLUMN price_group TEXT;

-- Every version of the book, all kept: a charge names the one that it was priced by. It belongs to no wallet.
CREATE TABLE am_credit_price_version (
    version    BIGINT NOT NULL CHECK (version > 0),
    wallet_id  BIGINT NOT NULL DEFAULT 0 CHECK (wallet_id = 0),
    applied_at TEXT    COLLATE "C" NOT NULL,
    applied_by TEXT    NOT NULL,
    sha256     TEXT    COLLATE "C" NOT NULL CHECK (length(sha256) = 64),  -- of the file's text
    PRIMARY KEY (version, wallet_id)
);

-- All prices of each version. A price has a unit price, or tiers: JSON, [[up_to, unit_price], …] as decimal texts, where
-- the last one's up_to is null.
CREATE TABLE am_credit_price (
    version             BIGINT NOT NULL,
    wallet_id           BIGINT NOT NULL,             -- 0: not one wallet's
    item                TEXT    COLLATE "C" NOT NULL,
    price_group         TEXT    COLLATE "C" NOT NULL DEFAULT '',  -- empty: not a group's
    valid_from          TEXT    COLLATE "C" NOT NULL DEFAULT '',  -- empty: always
    per                 BIGINT NOT NULL CHECK (per > 0),  -- how many units the unit price is for
    unit_price_yen      BIGINT NOT NULL DEFAULT 0 CHECK (unit_price_yen >= 0),
    unit_price_fraction INTEGER NOT NULL DEFAULT 0 CHECK (unit_price_fraction BETWEEN 0 AND 999999),
    tiers               TEXT,
    CHECK (wallet_id = 0 OR price_group = ''),
    PRIMARY KEY (version, wallet_id, item, price_group, valid_from)
);

CREATE FUNCTION am_credit_price_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'versions of the price book are kept as they are: apply another one'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER am_credit_price_version_append_only_delete
BEFORE DELETE ON am_credit_price_version
FOR EACH ROW EXECUTE FUNCTION am_credit_price_append_only();
CREATE TRIGGER am_credit_price_version_append_only_truncate
BEFORE TRUNCATE ON am_credit_price_version
FOR EACH STATEMENT EXECUTE FUNCTION am_credit_price_append_only();
CREATE TRIGGER am_credit_price_version_append_only_update
BEFORE UPDATE ON am_credit_price_version
FOR EACH ROW EXECUTE FUNCTION am_credit_price_append_only();
CREATE TRIGGER am_credit_price_append_only_delete
BEFORE DELETE ON am_credit_price
FOR EACH ROW EXECUTE FUNCTION am_credit_price_append_only();
CREATE TRIGGER am_credit_price_append_only_truncate
BEFORE TRUNCATE ON am_credit_price
FOR EACH STATEMENT EXECUTE FUNCTION am_credit_price_append_only();
CREATE TRIGGER am_credit_price_append_only_update
BEFORE UPDATE ON am_credit_price
FOR EACH ROW EXECUTE FUNCTION am_credit_price_append_only();

-- How much of an item with tiers a wallet has used in a billing cycle: units, and the millionths beyond them.
CREATE TABLE am_credit_tier_usage (
    wallet_id         BIGINT NOT NULL,
    item              TEXT    COLLATE "C" NOT NULL,
    billing_cycle     TEXT    COLLATE "C" NOT NULL,
    quantity          BIGINT NOT NULL CHECK (quantity >= 0),
    quantity_fraction INTEGER NOT NULL DEFAULT 0 CHECK (quantity_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (wallet_id, item, billing_cycle)
);
