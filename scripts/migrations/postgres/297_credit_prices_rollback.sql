-- Drops what 297 added. Entries keep the number of the version that they were priced by.

DROP TABLE am_credit_tier_usage;
DROP TABLE am_credit_price;
DROP TABLE am_credit_price_version;
DROP FUNCTION am_credit_price_append_only();
ALTER TABLE am_credit_wallet DROP COLUMN price_group;
