-- 312: seals cover acts as well, also when there are no new entries; and what the log of acts is asked for, by index.

ALTER TABLE am_credit_seal ADD COLUMN follows INTEGER;                          -- the seal before, 0 for none; NULL before 312
ALTER TABLE am_credit_seal ADD COLUMN last_act_id INTEGER NOT NULL DEFAULT 0;   -- the last act that it or one before covers
ALTER TABLE am_credit_seal ADD COLUMN acts INTEGER NOT NULL DEFAULT 0;          -- how many acts it covers
CREATE UNIQUE INDEX idx_am_credit_seal_follows ON am_credit_seal (follows);

CREATE INDEX idx_am_credit_act_subject ON am_credit_act (subject, act_id);
CREATE INDEX idx_am_credit_act_author ON am_credit_act (author, act_id);

-- A seal over acts alone has no entries: it begins after the last one of the seal before. Wider CHECKs leave every stored row
-- as it is, so only the table's text is replaced, as in 282.
CREATE TEMP TABLE wider (narrow TEXT NOT NULL, wide TEXT NOT NULL);
INSERT INTO wider (narrow, wide) VALUES
    ('CHECK (last_txn_id >= first_txn_id)', 'CHECK (last_txn_id >= first_txn_id - 1)'),
    ('CHECK (entries > 0)', 'CHECK (entries >= 0)');

CREATE TEMP TABLE table_must_have_its_checks (
    checks INTEGER CONSTRAINT "am_credit_seal lacks a CHECK of migration 284; restore it" CHECK (checks = 2)
);
INSERT INTO table_must_have_its_checks
SELECT count(*) FROM sqlite_schema JOIN wider ON instr(sql, narrow) > 0 WHERE type = 'table' AND name = 'am_credit_seal';
DROP TABLE table_must_have_its_checks;

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(sql, 'CHECK (last_txn_id >= first_txn_id)',
                                               'CHECK (last_txn_id >= first_txn_id - 1)'),
                                       'CHECK (entries > 0)', 'CHECK (entries >= 0)')
WHERE type = 'table' AND name = 'am_credit_seal';
PRAGMA writable_schema = RESET;
DROP TABLE wider;
