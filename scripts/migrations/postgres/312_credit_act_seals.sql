-- 312: seals cover acts as well, also when there are no new entries; and what the log of acts is asked for, by index.

-- Seals that meet are told apart by the one that they follow: one over acts alone has no entries, and begins after the last
-- one of the seal before.
ALTER TABLE am_credit_seal
    ADD COLUMN follows BIGINT,                          -- the seal before, 0 for none; NULL before 312
    ADD COLUMN last_act_id BIGINT NOT NULL DEFAULT 0,   -- the last act that it or one before covers
    ADD COLUMN acts BIGINT NOT NULL DEFAULT 0,          -- how many acts it covers
    DROP CONSTRAINT am_credit_seal_first_txn_id_key,
    DROP CONSTRAINT am_credit_seal_check,
    ADD CONSTRAINT am_credit_seal_check CHECK (last_txn_id >= first_txn_id - 1),
    DROP CONSTRAINT am_credit_seal_entries_check,
    ADD CONSTRAINT am_credit_seal_entries_check CHECK (entries >= 0);
CREATE UNIQUE INDEX idx_am_credit_seal_follows ON am_credit_seal (follows);

CREATE INDEX idx_am_credit_act_subject ON am_credit_act (subject, act_id);
CREATE INDEX idx_am_credit_act_author ON am_credit_act (author, act_id);
