-- Drops what 288 added.

DROP TABLE am_credit_sale;
DROP TABLE am_credit_secret;
DROP TABLE am_credit_seller;
