-- Drops what 289 added.

DROP TABLE am_credit_clawback;
DROP TABLE am_credit_cycle_segment;
DELETE FROM am_credit_counted WHERE counted = 'books';
