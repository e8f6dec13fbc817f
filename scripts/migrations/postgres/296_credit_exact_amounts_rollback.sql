-- Drops what 296 added, unless the ledger says something that whole yen cannot: amounts below the yen, items or facts.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_transaction_log WHERE detail IS NOT NULL)
       OR EXISTS (SELECT FROM am_credit_wallet
                  WHERE balance_fraction + ledger_fraction + debt_fraction + cycle_spent_fraction > 0)
       OR EXISTS (SELECT FROM am_credit_key WHERE cycle_spent_fraction + held_fraction > 0)
       OR EXISTS (SELECT FROM am_credit_hold
                  WHERE amount_fraction + captured_fraction + above_fraction > 0 OR usage IS NOT NULL)
       OR EXISTS (SELECT FROM am_credit_lot WHERE granted_fraction > 0)
       OR EXISTS (SELECT FROM am_credit_returned WHERE returned_fraction > 0)
       OR EXISTS (SELECT FROM am_credit_cycle_spend WHERE spent_fraction > 0)
       OR EXISTS (SELECT FROM am_credit_cycle_segment WHERE closing_fraction > 0)
       OR EXISTS (SELECT FROM am_credit_clawback WHERE owed_fraction > 0)
       OR EXISTS (SELECT FROM am_credit_purchase WHERE amount_fraction > 0 OR usage IS NOT NULL)
       OR EXISTS (SELECT FROM am_credit_idempotency
                  WHERE CAST(detail AS json) ->> 'amount_fraction' <> '0'
                     OR CAST(detail AS json) ->> 'balance_fraction' <> '0'
                     OR CAST(detail AS json) ->> 'price_version' IS NOT NULL)
    THEN
        RAISE EXCEPTION 'the ledger has amounts below the yen, items or facts, which 295 cannot hold; keep 296'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP VIEW v_credit_transaction_exact;
-- Seals that only it can read go with it; their entries are sealed again.
DELETE FROM am_credit_seal WHERE version > 3;

ALTER TABLE am_credit_purchase
    DROP CONSTRAINT am_credit_purchase_amount_yen_check,
    ADD CONSTRAINT am_credit_purchase_amount_yen_check CHECK (amount_yen > 0),
    DROP COLUMN usage,
    DROP COLUMN amount_fraction;
ALTER TABLE am_credit_returned
    DROP CONSTRAINT am_credit_returned_returned_yen_check,
    ADD CONSTRAINT am_credit_returned_returned_yen_check CHECK (returned_yen > 0),
    DROP COLUMN returned_fraction;
ALTER TABLE am_credit_hold
    DROP CONSTRAINT am_credit_hold_amount_yen_check,
    ADD CONSTRAINT am_credit_hold_amount_yen_check CHECK (amount_yen > 0),
    DROP COLUMN usage,
    DROP COLUMN above_fraction,
    DROP COLUMN captured_fraction,
    DROP COLUMN amount_fraction;
ALTER TABLE am_credit_lot
    DROP CONSTRAINT am_credit_lot_granted_yen_check,
    ADD CONSTRAINT am_credit_lot_granted_yen_check CHECK (granted_yen > 0),
    DROP COLUMN granted_fraction;
ALTER TABLE am_credit_transaction_log
    DROP CONSTRAINT am_credit_transaction_log_signs,
    ADD CONSTRAINT am_credit_transaction_log_signs
        CHECK (CASE WHEN txn_type IN ('topup', 'refund') THEN amount_yen > 0 ELSE amount_yen < 0 END),
    DROP COLUMN detail;
ALTER TABLE am_credit_hour_spend DROP COLUMN spent_fraction;
ALTER TABLE am_credit_clawback DROP COLUMN owed_fraction;
ALTER TABLE am_credit_cycle_segment DROP COLUMN closing_fraction;
ALTER TABLE am_credit_cycle_spend DROP COLUMN spent_fraction;
ALTER TABLE am_credit_key
    DROP COLUMN held_fraction,
    DROP COLUMN cycle_spent_fraction;
ALTER TABLE am_credit_wallet
    DROP COLUMN cycle_spent_fraction,
    DROP COLUMN debt_fraction,
    DROP COLUMN ledger_fraction,
    DROP COLUMN balance_fraction;
