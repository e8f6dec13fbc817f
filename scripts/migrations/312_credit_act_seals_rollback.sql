-- Drops what 312 added. Seals that only it can read go with it; their entries are sealed again, their acts are not.

DELETE FROM am_credit_seal WHERE version > 4;
UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(seal_id), 0) FROM am_credit_seal) WHERE name = 'am_credit_seal';

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(sql, 'CHECK (last_txn_id >= first_txn_id - 1)',
                                               'CHECK (last_txn_id >= first_txn_id)'),
                                       'CHECK (entries >= 0)', 'CHECK (entries > 0)')
WHERE type = 'table' AND name = 'am_credit_seal';
PRAGMA writable_schema = RESET;

DROP INDEX idx_am_credit_act_author;
DROP INDEX idx_am_credit_act_subject;
DROP INDEX idx_am_credit_seal_follows;
ALTER TABLE am_credit_seal DROP COLUMN acts;
ALTER TABLE am_credit_seal DROP COLUMN last_act_id;
ALTER TABLE am_credit_seal DROP COLUMN follows;
