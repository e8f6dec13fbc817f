-- The price book: its versions, their prices, and how much of items with tiers was used. What PostgreSQL says otherwise is
-- in postgres/prices.sql.

-- newest: what tells the newest version from any other, also after it was rolled back and applied anew
SELECT version, applied_at, sha256 FROM am_credit_price_version ORDER BY version DESC LIMIT 1;

-- prices: the prices of a version
SELECT item, wallet_id, price_group, valid_from, per, unit_price_yen, unit_price_fraction, tiers
FROM am_credit_price
WHERE version = :version;

-- versions: versions before one, newest first
SELECT version, applied_at, applied_by, sha256 FROM am_credit_price_version
WHERE version < :before ORDER BY version DESC LIMIT :limit;

-- version_at: the version that was the newest at an instant
SELECT version FROM am_credit_price_version WHERE applied_at <= :at ORDER BY version DESC LIMIT 1;

-- apply_alone: nobody else applies prices until the transaction ends; on SQLite nobody else writes anyway
SELECT 1;

-- put_version: the number of another version
INSERT INTO am_credit_price_version (version, wallet_id, applied_at, applied_by, sha256)
VALUES (:version, 0, :applied_at, :applied_by, :sha256);

-- put_prices: all prices of a version, given as JSON
INSERT INTO am_credit_price (version, wallet_id, item, price_group, valid_from, per, unit_price_yen, unit_price_fraction,
                             tiers)
SELECT :version, value ->> 'wallet_id', value ->> 'item', value ->> 'price_group', value ->> 'valid_from',
       value ->> 'per', value ->> 'unit_price_yen', value ->> 'unit_price_fraction', value ->> 'tiers'
FROM json_each(:prices);

-- tier_usage: how much of an item a wallet used in a billing cycle
SELECT quantity, quantity_fraction FROM am_credit_tier_usage
WHERE wallet_id = :wallet_id AND item = :item AND billing_cycle = :billing_cycle;

-- had_tiers: a row if a version has tiers for an item, for anybody at any time
SELECT 1 FROM am_credit_price WHERE version = :version AND item = :item AND tiers IS NOT NULL LIMIT 1;

-- put_tier_usage: the same from now on
INSERT INTO am_credit_tier_usage (wallet_id, item, billing_cycle, quantity, quantity_fraction)
VALUES (:wallet_id, :item, :billing_cycle, :quantity, :quantity_fraction)
ON CONFLICT (wallet_id, item, billing_cycle) DO UPDATE
SET quantity = excluded.quantity, quantity_fraction = excluded.quantity_fraction;
