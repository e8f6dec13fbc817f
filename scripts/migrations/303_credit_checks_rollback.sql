-- Writes the CHECKs as they were before 303. They accept the same.

CREATE TEMP TABLE slower (checked TEXT NOT NULL, quick TEXT NOT NULL, slow TEXT NOT NULL);
INSERT INTO slower (checked, quick, slow) VALUES
    ('am_credit_transaction_log',
     'CHECK (txn_type = ''charge'' OR txn_type = ''topup'' OR txn_type = ''refund'' OR txn_type = ''expire'''
         || ' OR txn_type = ''reversal'')',
     'CHECK (txn_type IN (''topup'', ''charge'', ''refund'', ''expire'', ''reversal''))'),
    ('am_credit_hold', 'CHECK (status = ''open'' OR status = ''captured'' OR status = ''released'' OR status = ''expired'')',
     'CHECK (status IN (''open'', ''captured'', ''released'', ''expired''))'),
    ('am_credit_purchase', 'CHECK (status = ''running'' OR status = ''served'' OR status = ''undone'')',
     'CHECK (status IN (''running'', ''served'', ''undone''))');

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, quick, slow) FROM slower WHERE type = 'table' AND name = checked;
PRAGMA writable_schema = RESET;
DROP TABLE slower;

CREATE VIEW v_credit_schema_version AS SELECT 302;
DROP VIEW v_credit_schema_version;
