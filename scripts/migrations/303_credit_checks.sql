-- 303: CHECKs of types and statuses that are quick. For a list of three or more values after IN, SQLite builds a table
-- whenever it checks a row; a chain of ORs says the same and is compared as it is.

-- What a CHECK accepts stays the same, so only the tables' texts are replaced, as in 282. A CHECK that a host has changed
-- stays as it is.
CREATE TEMP TABLE quicker (checked TEXT NOT NULL, slow TEXT NOT NULL, quick TEXT NOT NULL);
INSERT INTO quicker (checked, slow, quick) VALUES
    ('am_credit_transaction_log',
     'CHECK (txn_type IN (''topup'', ''charge'', ''refund'', ''expire'', ''reversal''))',
     'CHECK (txn_type = ''charge'' OR txn_type = ''topup'' OR txn_type = ''refund'' OR txn_type = ''expire'''
         || ' OR txn_type = ''reversal'')'),
    ('am_credit_hold', 'CHECK (status IN (''open'', ''captured'', ''released'', ''expired''))',
     'CHECK (status = ''open'' OR status = ''captured'' OR status = ''released'' OR status = ''expired'')'),
    ('am_credit_purchase', 'CHECK (status IN (''running'', ''served'', ''undone''))',
     'CHECK (status = ''running'' OR status = ''served'' OR status = ''undone'')');

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, slow, quick) FROM quicker WHERE type = 'table' AND name = checked;
PRAGMA writable_schema = RESET;
DROP TABLE quicker;

-- Tells other connections, which know the texts by the schema's version, that there are new ones.
CREATE VIEW v_credit_schema_version AS SELECT 303;
DROP VIEW v_credit_schema_version;
