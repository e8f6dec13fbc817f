-- Drops what 300 added, unless credit has moved between wallets: only its rows say what is on its way, and what has arrived.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_transfer) THEN
        RAISE EXCEPTION 'the ledger has transfers between wallets; keep 300' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP TABLE am_credit_transfer;
