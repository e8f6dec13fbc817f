-- Drops what 314 added. Nothing is lost: the sums are counted again from the ledger.

DELETE FROM am_credit_counted WHERE counted = 'month_totals';
DROP TABLE am_credit_totals;
DROP TABLE am_credit_month_total;
DROP INDEX idx_am_credit_delivery_status;
DROP INDEX idx_am_credit_topup_status;
DROP INDEX idx_am_credit_topup_newest;
