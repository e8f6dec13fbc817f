-- Drops what 284 added.

DROP TABLE am_credit_seal;
DROP SEQUENCE am_credit_seal_seal_id_seq;
DROP TABLE am_credit_outbox;
DROP SEQUENCE am_credit_outbox_event_id_seq;
DROP TABLE am_credit_idempotency;
DROP TABLE am_credit_key;
DROP SEQUENCE am_credit_key_key_id_seq;
