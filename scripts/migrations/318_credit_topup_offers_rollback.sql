-- Drops what 318 added.

ALTER TABLE am_credit_topup DROP COLUMN offer;
