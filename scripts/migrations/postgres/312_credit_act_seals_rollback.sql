-- Drops what 312 added. Seals that only it can read go with it; their entries are sealed again, their acts are not.

DELETE FROM am_credit_seal WHERE version > 4;

DROP INDEX idx_am_credit_act_author;
DROP INDEX idx_am_credit_act_subject;
DROP INDEX idx_am_credit_seal_follows;
ALTER TABLE am_credit_seal
    DROP COLUMN acts,
    DROP COLUMN last_act_id,
    DROP COLUMN follows,
    DROP CONSTRAINT am_credit_seal_check,
    ADD CONSTRAINT am_credit_seal_check CHECK (last_txn_id >= first_txn_id),
    DROP CONSTRAINT am_credit_seal_entries_check,
    ADD CONSTRAINT am_credit_seal_entries_check CHECK (entries > 0),
    ADD CONSTRAINT am_credit_seal_first_txn_id_key UNIQUE (first_txn_id);
