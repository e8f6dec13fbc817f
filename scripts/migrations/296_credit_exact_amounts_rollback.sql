-- Drops what 296 added, unless the ledger says something that whole yen cannot: amounts below the yen, items or facts.

CREATE TEMP TABLE ledger_must_be_whole (
    exact INTEGER CONSTRAINT "the ledger has amounts below the yen, items or facts, which 295 cannot hold; keep 296"
        CHECK (exact = 0)
);
INSERT INTO ledger_must_be_whole
SELECT EXISTS (SELECT 1 FROM am_credit_transaction_log WHERE detail IS NOT NULL)
    OR EXISTS (SELECT 1 FROM am_credit_wallet
               WHERE balance_fraction + ledger_fraction + debt_fraction + cycle_spent_fraction > 0)
    OR EXISTS (SELECT 1 FROM am_credit_key WHERE cycle_spent_fraction + held_fraction > 0)
    OR EXISTS (SELECT 1 FROM am_credit_hold
               WHERE amount_fraction + captured_fraction + above_fraction > 0 OR usage IS NOT NULL)
    OR EXISTS (SELECT 1 FROM am_credit_lot WHERE granted_fraction > 0)
    OR EXISTS (SELECT 1 FROM am_credit_returned WHERE returned_fraction > 0)
    OR EXISTS (SELECT 1 FROM am_credit_cycle_spend WHERE spent_fraction > 0)
    OR EXISTS (SELECT 1 FROM am_credit_cycle_segment WHERE closing_fraction > 0)
    OR EXISTS (SELECT 1 FROM am_credit_clawback WHERE owed_fraction > 0)
    OR EXISTS (SELECT 1 FROM am_credit_purchase WHERE amount_fraction > 0 OR usage IS NOT NULL)
    OR EXISTS (SELECT 1 FROM am_credit_idempotency
               WHERE detail ->> 'amount_fraction' > 0 OR detail ->> 'balance_fraction' > 0
                  OR detail ->> 'price_version' IS NOT NULL);
DROP TABLE ledger_must_be_whole;

DROP VIEW v_credit_transaction_exact;
-- Seals that only it can read go with it; their entries are sealed again.
DELETE FROM am_credit_seal WHERE version > 3;
UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(seal_id), 0) FROM am_credit_seal) WHERE name = 'am_credit_seal';

CREATE TEMP TABLE narrower (narrowed TEXT NOT NULL, wide TEXT NOT NULL, narrow TEXT NOT NULL);
INSERT INTO narrower (narrowed, wide, narrow) VALUES
    ('am_credit_transaction_log',
     'CHECK (CASE WHEN detail IS NOT NULL AND amount_yen = 0 THEN 1'
         || ' WHEN txn_type IN (''topup'', ''refund'') THEN amount_yen > 0 ELSE amount_yen < 0 END)',
     'CHECK (CASE WHEN txn_type IN (''topup'', ''refund'') THEN amount_yen > 0 ELSE amount_yen < 0 END)'),
    ('am_credit_lot', 'CHECK (granted_yen > 0 OR (granted_yen = 0 AND granted_fraction > 0))', 'CHECK (granted_yen > 0)'),
    ('am_credit_hold', 'CHECK (amount_yen > 0 OR (amount_yen = 0 AND (amount_fraction > 0 OR usage IS NOT NULL)))',
     'CHECK (amount_yen > 0)'),
    ('am_credit_returned', 'CHECK (returned_yen > 0 OR (returned_yen = 0 AND returned_fraction > 0))',
     'CHECK (returned_yen > 0)'),
    ('am_credit_purchase', 'CHECK (amount_yen > 0 OR (amount_yen = 0 AND (amount_fraction > 0 OR usage IS NOT NULL)))',
     'CHECK (amount_yen > 0)');
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, wide, narrow) FROM narrower WHERE type = 'table' AND name = narrowed;
PRAGMA writable_schema = RESET;
DROP TABLE narrower;

ALTER TABLE am_credit_purchase DROP COLUMN usage;
ALTER TABLE am_credit_hold DROP COLUMN usage;
ALTER TABLE am_credit_transaction_log DROP COLUMN detail;
ALTER TABLE am_credit_purchase DROP COLUMN amount_fraction;
ALTER TABLE am_credit_hour_spend DROP COLUMN spent_fraction;
ALTER TABLE am_credit_clawback DROP COLUMN owed_fraction;
ALTER TABLE am_credit_cycle_segment DROP COLUMN closing_fraction;
ALTER TABLE am_credit_cycle_spend DROP COLUMN spent_fraction;
ALTER TABLE am_credit_returned DROP COLUMN returned_fraction;
ALTER TABLE am_credit_lot DROP COLUMN granted_fraction;
ALTER TABLE am_credit_hold DROP COLUMN above_fraction;
ALTER TABLE am_credit_hold DROP COLUMN captured_fraction;
ALTER TABLE am_credit_hold DROP COLUMN amount_fraction;
ALTER TABLE am_credit_key DROP COLUMN held_fraction;
ALTER TABLE am_credit_key DROP COLUMN cycle_spent_fraction;
ALTER TABLE am_credit_wallet DROP COLUMN cycle_spent_fraction;
ALTER TABLE am_credit_wallet DROP COLUMN debt_fraction;
ALTER TABLE am_credit_wallet DROP COLUMN ledger_fraction;
ALTER TABLE am_credit_wallet DROP COLUMN balance_fraction;
