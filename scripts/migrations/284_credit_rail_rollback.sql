-- Drops what 284 added.

DROP TABLE am_credit_seal;
DROP TABLE am_credit_outbox;
DROP TABLE am_credit_idempotency;
DROP TABLE am_credit_key;
