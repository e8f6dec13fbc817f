-- 296: amounts below the yen. Whole yen stay where they are; the micros (0.000001 yen) beyond them stand in a column beside.
--
-- A column ..._yen is rounded down, and ..._fraction has the rest: exact = yen + fraction / 1,000,000. On a wallet's row,
-- balance_yen and balance_fraction are the balance, balance_yen + held_yen and ledger_fraction the balance with its open
-- holds, so that entries still add up to balance_yen + held_yen in whole yen. An entry's amount_yen is the change of those
-- whole yen. No entry and no row is rewritten: every amount from before is whole.

-- Exact, the largest balance has to fit into 64 bits.
DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_wallet WHERE greatest(balance_yen + held_yen, debt_yen, cycle_spent_yen) > 9000000000000)
    THEN
        RAISE EXCEPTION 'a wallet has more than 9000000000000 yen; take the rest out before this migration'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

ALTER TABLE am_credit_wallet
    ADD COLUMN balance_fraction INTEGER NOT NULL DEFAULT 0 CHECK (balance_fraction BETWEEN 0 AND 999999),
    ADD COLUMN ledger_fraction INTEGER NOT NULL DEFAULT 0 CHECK (ledger_fraction BETWEEN 0 AND 999999),
    ADD COLUMN debt_fraction INTEGER NOT NULL DEFAULT 0 CHECK (debt_fraction BETWEEN 0 AND 999999),
    ADD COLUMN cycle_spent_fraction INTEGER NOT NULL DEFAULT 0 CHECK (cycle_spent_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_key
    ADD COLUMN cycle_spent_fraction INTEGER NOT NULL DEFAULT 0 CHECK (cycle_spent_fraction BETWEEN 0 AND 999999),
    ADD COLUMN held_fraction INTEGER NOT NULL DEFAULT 0 CHECK (held_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_cycle_spend
    ADD COLUMN spent_fraction INTEGER NOT NULL DEFAULT 0 CHECK (spent_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_cycle_segment
    ADD COLUMN closing_fraction INTEGER NOT NULL DEFAULT 0 CHECK (closing_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_clawback
    ADD COLUMN owed_fraction INTEGER NOT NULL DEFAULT 0 CHECK (owed_fraction BETWEEN 0 AND 999999);
ALTER TABLE am_credit_hour_spend
    ADD COLUMN spent_fraction INTEGER NOT NULL DEFAULT 0 CHECK (spent_fraction BETWEEN 0 AND 999999);

-- What the whole yen of an entry leave out, and what it was for, as JSON; NULL when there is nothing to say: micros, its
-- exact amount, unless that is amount_yen; fraction, the micros of the ledger balance beyond ledger_balance_yen; item,
-- quantity (in millionths of a unit) and price_version; facts of the seller and agent_facts of the payer. A hold and a
-- purchase say in the same form what they are for.
--
-- CHECKs grow wider with it: less than a yen may be no whole yen, and an item may be free.
ALTER TABLE am_credit_transaction_log
    ADD COLUMN detail JSON,
    DROP CONSTRAINT am_credit_transaction_log_signs,
    ADD CONSTRAINT am_credit_transaction_log_signs
        CHECK (CASE WHEN detail IS NOT NULL AND amount_yen = 0 THEN true
                    WHEN txn_type IN ('topup', 'refund') THEN amount_yen > 0 ELSE amount_yen < 0 END);
ALTER TABLE am_credit_lot
    ADD COLUMN granted_fraction INTEGER NOT NULL DEFAULT 0 CHECK (granted_fraction BETWEEN 0 AND 999999),
    DROP CONSTRAINT am_credit_lot_granted_yen_check,
    ADD CONSTRAINT am_credit_lot_granted_yen_check
        CHECK (granted_yen > 0 OR (granted_yen = 0 AND granted_fraction > 0));
ALTER TABLE am_credit_hold
    ADD COLUMN amount_fraction INTEGER NOT NULL DEFAULT 0 CHECK (amount_fraction BETWEEN 0 AND 999999),
    ADD COLUMN captured_fraction INTEGER NOT NULL DEFAULT 0 CHECK (captured_fraction BETWEEN 0 AND 999999),
    ADD COLUMN above_fraction INTEGER NOT NULL DEFAULT 0 CHECK (above_fraction BETWEEN 0 AND 999999),
    ADD COLUMN usage JSON,
    DROP CONSTRAINT am_credit_hold_amount_yen_check,
    ADD CONSTRAINT am_credit_hold_amount_yen_check
        CHECK (amount_yen > 0 OR (amount_yen = 0 AND (amount_fraction > 0 OR usage IS NOT NULL)));
ALTER TABLE am_credit_returned
    ADD COLUMN returned_fraction INTEGER NOT NULL DEFAULT 0 CHECK (returned_fraction BETWEEN 0 AND 999999),
    DROP CONSTRAINT am_credit_returned_returned_yen_check,
    ADD CONSTRAINT am_credit_returned_returned_yen_check
        CHECK (returned_yen > 0 OR (returned_yen = 0 AND returned_fraction > 0));
ALTER TABLE am_credit_purchase
    ADD COLUMN amount_fraction INTEGER NOT NULL DEFAULT 0 CHECK (amount_fraction BETWEEN 0 AND 999999),
    ADD COLUMN usage JSON,
    DROP CONSTRAINT am_credit_purchase_amount_yen_check,
    ADD CONSTRAINT am_credit_purchase_amount_yen_check
        CHECK (amount_yen > 0 OR (amount_yen = 0 AND (amount_fraction > 0 OR usage IS NOT NULL)));

-- The ledger in exact amounts, for people with plain SQL. amount and quantity are decimal text without trailing zeros, and
-- in millionths beside it.
CREATE VIEW v_credit_transaction_exact AS
SELECT txn_id, wallet_id, txn_type, occurred_at, CAST(trim_scale(micros * 0.000001) AS text) AS amount,
       micros AS amount_micros, ledger_balance_yen * 1000000::numeric + fraction AS ledger_balance_micros, item,
       CAST(trim_scale(quantity * 0.000001) AS text) AS quantity, quantity AS quantity_micros, price_version, facts,
       agent_facts, key_id, related_txn_id, hold_id, cause, note
FROM (SELECT txn_id, wallet_id, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id, hold_id, cause, note,
             coalesce(CAST(detail ->> 'micros' AS numeric), amount_yen * 1000000::numeric) AS micros,
             coalesce(CAST(detail ->> 'fraction' AS integer), 0) AS fraction,
             detail ->> 'item' AS item, CAST(detail ->> 'quantity' AS numeric) AS quantity,
             CAST(detail ->> 'price_version' AS bigint) AS price_version,
             detail -> 'facts' AS facts, detail -> 'agent_facts' AS agent_facts
      FROM (SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id,
                   hold_id, cause, note, CASE WHEN prev_txn_id IS NOT NULL THEN detail END AS detail  -- the ledger's own
            FROM am_credit_transaction_log) AS known) AS entry;
