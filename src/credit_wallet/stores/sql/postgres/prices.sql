-- What PostgreSQL says otherwise than ../prices.sql: several may write at once, and a JSON value has no type.

-- apply_alone: nobody else applies prices until the transaction ends; batches read them meanwhile
LOCK TABLE am_credit_price_version IN SHARE ROW EXCLUSIVE MODE;

-- put_prices: all prices of a version, given as JSON
INSERT INTO am_credit_price (version, wallet_id, item, price_group, valid_from, per, unit_price_yen, unit_price_fraction,
                             tiers)
SELECT :version, CAST(value ->> 'wallet_id' AS BIGINT), value ->> 'item', value ->> 'price_group',
       value ->> 'valid_from', CAST(value ->> 'per' AS BIGINT), CAST(value ->> 'unit_price_yen' AS BIGINT),
       CAST(value ->> 'unit_price_fraction' AS INTEGER), value ->> 'tiers'
FROM jsonb_array_elements(CAST(:prices AS JSONB)) AS given (value);
