-- Drops what 285 added.

DROP TABLE am_credit_installation;
DROP TABLE am_credit_payer;
DROP TABLE am_credit_topup_history;
DROP TABLE am_credit_topup;
