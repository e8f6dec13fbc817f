-- Drops what 317 added. Nothing is lost: the sums are counted again from the ledger.

DELETE FROM am_credit_counted WHERE counted = 'quarter_totals';
DROP TABLE am_credit_quarter_total;
DROP INDEX idx_am_credit_payer_stopped;
