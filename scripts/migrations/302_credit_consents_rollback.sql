-- Drops what 302 added, unless somebody has agreed to something: that must remain to be shown.

CREATE TEMP TABLE nothing_may_be_agreed_to (
    agreed INTEGER CONSTRAINT "the ledger records what was agreed to for automatic top-ups; keep 302" CHECK (agreed = 0)
);
INSERT INTO nothing_may_be_agreed_to
SELECT EXISTS (SELECT 1 FROM am_credit_auto_topup_consent)
    OR EXISTS (SELECT 1 FROM am_credit_wallet WHERE auto_topup_daily_yen > 0 OR auto_topup_monthly_yen > 0);
DROP TABLE nothing_may_be_agreed_to;

DROP TABLE am_credit_auto_topup_consent;
ALTER TABLE am_credit_wallet DROP COLUMN auto_topup_consents;
ALTER TABLE am_credit_wallet DROP COLUMN auto_topup_monthly_yen;
ALTER TABLE am_credit_wallet DROP COLUMN auto_topup_daily_yen;
