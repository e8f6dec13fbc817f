-- Drops what 308 added, unless a host has given references or metadata: nothing else says which customer a wallet belongs to.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_profile WHERE reference <> '' OR metadata <> '{}') THEN
        RAISE EXCEPTION 'the ledger has references or metadata of the host''s; keep 308'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP INDEX idx_am_credit_topup_failed;
DROP INDEX idx_am_credit_wallet_low;
DROP INDEX idx_am_credit_wallet_exhausted;
DROP INDEX idx_am_credit_wallet_in_debt;
DROP INDEX idx_am_credit_wallet_disabled;
DROP TABLE am_credit_search_term;
DROP TABLE am_credit_profile;
DROP TABLE am_credit_reference;
DELETE FROM am_credit_counted WHERE counted = 'searchable';
