-- Drops what 285 added.

DROP TABLE am_credit_installation;
DROP TABLE am_credit_payer;
DROP TABLE am_credit_topup_history;
DROP SEQUENCE am_credit_topup_history_event_id_seq;
DROP TABLE am_credit_topup;
