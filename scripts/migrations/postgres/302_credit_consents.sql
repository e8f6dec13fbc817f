-- 302: an owner's own limits on automatic top-ups, and what was agreed to whenever these are switched on or changed.

ALTER TABLE am_credit_wallet
    ADD COLUMN auto_topup_daily_yen BIGINT NOT NULL DEFAULT 0 CHECK (auto_topup_daily_yen >= 0),
    ADD COLUMN auto_topup_monthly_yen BIGINT NOT NULL DEFAULT 0 CHECK (auto_topup_monthly_yen >= 0),
    -- How many consents the wallet has. 0: its automatic top-ups are off, as they were before 302, or as plain SQL set them.
    ADD COLUMN auto_topup_consents BIGINT NOT NULL DEFAULT 0;

-- Who agreed to what and when, numbered from 1 in each wallet. A threshold and an amount of 0 switched them off.
CREATE TABLE am_credit_auto_topup_consent (
    wallet_id    BIGINT NOT NULL,
    consent_no   BIGINT NOT NULL CHECK (consent_no > 0),
    consented_at TEXT   COLLATE "C" NOT NULL,
    consented_by TEXT   COLLATE "C" NOT NULL CHECK (consented_by IN ('owner', 'operator')),
    language     TEXT   COLLATE "C" NOT NULL CHECK (language IN ('en', 'ja')),
    wording      TEXT   NOT NULL,                 -- the exact text that was agreed to
    version      INTEGER,                         -- of the standard text; NULL: a text of the caller's
    threshold    BIGINT NOT NULL CHECK (threshold >= 0),  -- whole yen, as the rest
    amount       BIGINT NOT NULL CHECK (amount >= 0),
    daily_yen    BIGINT NOT NULL CHECK (daily_yen >= 0),
    monthly_yen  BIGINT NOT NULL CHECK (monthly_yen >= 0),
    PRIMARY KEY (wallet_id, consent_no)
);

CREATE FUNCTION am_credit_auto_topup_consent_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'consents are append-only: they say what was agreed to'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER am_credit_auto_topup_consent_append_only_delete
BEFORE DELETE ON am_credit_auto_topup_consent
FOR EACH ROW EXECUTE FUNCTION am_credit_auto_topup_consent_append_only();
CREATE TRIGGER am_credit_auto_topup_consent_append_only_truncate
BEFORE TRUNCATE ON am_credit_auto_topup_consent
FOR EACH STATEMENT EXECUTE FUNCTION am_credit_auto_topup_consent_append_only();
CREATE TRIGGER am_credit_auto_topup_consent_append_only_update
BEFORE UPDATE ON am_credit_auto_topup_consent
FOR EACH ROW EXECUTE FUNCTION am_credit_auto_topup_consent_append_only();
