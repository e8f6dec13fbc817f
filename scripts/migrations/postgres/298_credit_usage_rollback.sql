-- Drops what 298 added; the ledger's entries still say what they were for.

DELETE FROM am_credit_counted WHERE counted = 'usage';
DROP TABLE am_credit_usage_start;
DROP TABLE am_credit_usage;
