-- Drops what 302 added, unless somebody has agreed to something: that must remain to be shown.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_auto_topup_consent)
       OR EXISTS (SELECT FROM am_credit_wallet WHERE auto_topup_daily_yen > 0 OR auto_topup_monthly_yen > 0)
    THEN
        RAISE EXCEPTION 'the ledger records what was agreed to for automatic top-ups; keep 302'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP TABLE am_credit_auto_topup_consent;
DROP FUNCTION am_credit_auto_topup_consent_append_only();
ALTER TABLE am_credit_wallet
    DROP COLUMN auto_topup_consents,
    DROP COLUMN auto_topup_monthly_yen,
    DROP COLUMN auto_topup_daily_yen;
