-- 296: amounts below the yen. Whole yen stay where they are; the micros (0.000001 yen) beyond them stand in a column beside.
--
-- A column ..._yen is rounded down, and ..._fraction has the rest: exact = yen + fraction / 1,000,000. On a wallet's row,
-- balance_yen and balance_fraction are the balance, balance_yen + held_yen and ledger_fraction the balance with its open
-- holds, so that entries still add up to balance_yen + held_yen in whole yen. An entry's amount_yen is the change of those
-- whole yen. No entry and no row is rewritten: every amount from before is whole.

-- Exact, the largest balance has to fit into 64 bits.
CREATE TEMP TABLE ledger_must_fit (
    yen INTEGER CONSTRAINT "a wallet has more than 9000000000000 yen; take the rest out before this migration"
        CHECK (yen <= 9000000000000)
);
INSERT INTO ledger_must_fit
SELECT max(balance_yen + held_yen, debt_yen, cycle_spent_yen) FROM am_credit_wallet
WHERE max(balance_yen + held_yen, debt_yen, cycle_spent_yen) > 9000000000000 LIMIT 1;
DROP TABLE ledger_must_fit;

ALTER TABLE am_credit_wallet ADD COLUMN balance_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (balance_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_wallet ADD COLUMN ledger_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (ledger_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_wallet ADD COLUMN debt_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (debt_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_wallet ADD COLUMN cycle_spent_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (cycle_spent_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_key ADD COLUMN cycle_spent_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (cycle_spent_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_key ADD COLUMN held_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (held_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_hold ADD COLUMN amount_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (amount_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_hold ADD COLUMN captured_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (captured_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_hold ADD COLUMN above_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (above_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_lot ADD COLUMN granted_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (granted_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_returned ADD COLUMN returned_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (returned_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_cycle_spend ADD COLUMN spent_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (spent_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_cycle_segment ADD COLUMN closing_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (closing_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_clawback ADD COLUMN owed_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (owed_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_hour_spend ADD COLUMN spent_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (spent_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_purchase ADD COLUMN amount_fraction INTEGER NOT NULL DEFAULT 0
    CHECK (amount_fraction BETWEEN 0 AND 999999);

-- What the whole yen of an entry leave out, and what it was for, as JSON; NULL when there is nothing to say: micros, its
-- exact amount, unless that is amount_yen; fraction, the micros of the ledger balance beyond ledger_balance_yen; item,
-- quantity (in millionths of a unit) and price_version; facts of the seller and agent_facts of the payer. A hold and a
-- purchase say in the same form what they are for.
ALTER TABLE am_credit_transaction_log ADD COLUMN detail TEXT;
ALTER TABLE am_credit_hold ADD COLUMN usage TEXT;
ALTER TABLE am_credit_purchase ADD COLUMN usage TEXT;

-- Wider CHECKs leave every stored row as it is, so only the tables' texts are replaced, as in 282.
CREATE TEMP TABLE wider (widened TEXT NOT NULL, narrow TEXT NOT NULL, wide TEXT NOT NULL);
INSERT INTO wider (widened, narrow, wide) VALUES
    ('am_credit_transaction_log',
     'CHECK (CASE WHEN txn_type IN (''topup'', ''refund'') THEN amount_yen > 0 ELSE amount_yen < 0 END)',
     'CHECK (CASE WHEN detail IS NOT NULL AND amount_yen = 0 THEN 1'
         || ' WHEN txn_type IN (''topup'', ''refund'') THEN amount_yen > 0 ELSE amount_yen < 0 END)'),
    ('am_credit_lot', 'CHECK (granted_yen > 0)', 'CHECK (granted_yen > 0 OR (granted_yen = 0 AND granted_fraction > 0))'),
    ('am_credit_hold', 'CHECK (amount_yen > 0)',
     'CHECK (amount_yen > 0 OR (amount_yen = 0 AND (amount_fraction > 0 OR usage IS NOT NULL)))'),
    ('am_credit_returned', 'CHECK (returned_yen > 0)',
     'CHECK (returned_yen > 0 OR (returned_yen = 0 AND returned_fraction > 0))'),
    ('am_credit_purchase', 'CHECK (amount_yen > 0)',
     'CHECK (amount_yen > 0 OR (amount_yen = 0 AND (amount_fraction > 0 OR usage IS NOT NULL)))');

CREATE TEMP TABLE tables_must_have_their_checks (
    checks INTEGER CONSTRAINT "a table lacks a CHECK of an earlier migration; restore it" CHECK (checks = 5)
);
INSERT INTO tables_must_have_their_checks
SELECT count(*) FROM sqlite_schema JOIN wider ON widened = name AND type = 'table' WHERE instr(sql, narrow) > 0;
DROP TABLE tables_must_have_their_checks;

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, narrow, wide) FROM wider WHERE type = 'table' AND name = widened;
PRAGMA writable_schema = RESET;
DROP TABLE wider;

-- The ledger in exact amounts, for people with plain SQL. amount and quantity are decimal text without trailing zeros, and
-- in millionths beside it.
CREATE VIEW v_credit_transaction_exact AS
SELECT txn_id, wallet_id, txn_type, occurred_at,
       CASE WHEN micros < 0 THEN '-' ELSE '' END || (abs(micros) / 1000000)
           || CASE WHEN micros % 1000000 = 0 THEN ''
                   ELSE '.' || rtrim(printf('%06d', abs(micros % 1000000)), '0') END AS amount,
       micros AS amount_micros, ledger_balance_yen * 1000000 + fraction AS ledger_balance_micros, item,
       (quantity / 1000000) || CASE WHEN quantity % 1000000 = 0 THEN ''
                                    ELSE '.' || rtrim(printf('%06d', quantity % 1000000), '0') END AS quantity,
       quantity AS quantity_micros, price_version, facts, agent_facts, key_id, related_txn_id, hold_id, cause, note
FROM (SELECT txn_id, wallet_id, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id, hold_id, cause, note,
             coalesce(detail ->> 'micros', amount_yen * 1000000) AS micros,
             coalesce(detail ->> 'fraction', 0) AS fraction,
             detail ->> 'item' AS item, detail ->> 'quantity' AS quantity, detail ->> 'price_version' AS price_version,
             detail -> 'facts' AS facts, detail -> 'agent_facts' AS agent_facts
      FROM (SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id,
                   hold_id, cause, note, CASE WHEN prev_txn_id IS NOT NULL THEN detail END AS detail  -- the ledger's own
            FROM am_credit_transaction_log) AS known);
