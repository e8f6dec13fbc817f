-- 315: erasure of personal data — the texts of a closed wallet's entries, acts, grants and budgets can be emptied while it is
-- being erased. Every other UPDATE, and every DELETE, is refused as before.

-- Wallets whose personal data was erased, or is being erased: ended_at is NULL then.
CREATE TABLE am_credit_erasure (
    wallet_id BIGINT NOT NULL PRIMARY KEY,
    begun_at  TEXT   COLLATE "C" NOT NULL,
    ended_at  TEXT   COLLATE "C"
);

CREATE FUNCTION am_credit_transaction_log_append_only_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.txn_id, NEW.wallet_id, NEW.amount_yen, NEW.txn_type, NEW.occurred_at, NEW.prev_txn_id, NEW.ledger_balance_yen,
        NEW.lots, NEW.key_id, NEW.related_txn_id, NEW.hold_id, NEW.cause)
       IS NOT DISTINCT FROM (OLD.txn_id, OLD.wallet_id, OLD.amount_yen, OLD.txn_type, OLD.occurred_at, OLD.prev_txn_id,
                             OLD.ledger_balance_yen, OLD.lots, OLD.key_id, OLD.related_txn_id, OLD.hold_id, OLD.cause)
       AND (NEW.note IS NULL OR NEW.note IS NOT DISTINCT FROM OLD.note)
       AND (CAST(NEW.detail AS text) IS NOT DISTINCT FROM CAST(OLD.detail AS text)
            OR CAST(NEW.detail AS jsonb)
               IS NOT DISTINCT FROM nullif(CAST(OLD.detail AS jsonb)
                                           - ARRAY['request_id', 'reference', 'metadata', 'idempotency_key'], '{}'))
       AND EXISTS (SELECT 1 FROM am_credit_erasure AS erasure
                   WHERE erasure.wallet_id = OLD.wallet_id AND erasure.ended_at IS NULL) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only: write a refund or a reversal instead of changing an entry'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

DROP TRIGGER am_credit_transaction_log_append_only_update ON am_credit_transaction_log;
CREATE TRIGGER am_credit_transaction_log_append_only_update
BEFORE UPDATE ON am_credit_transaction_log
FOR EACH ROW
WHEN (OLD.prev_txn_id IS NOT NULL
      OR (NEW.txn_id, NEW.wallet_id, NEW.amount_yen, NEW.txn_type, NEW.occurred_at, NEW.note)
         IS DISTINCT FROM (OLD.txn_id, OLD.wallet_id, OLD.amount_yen, OLD.txn_type, OLD.occurred_at, OLD.note))
EXECUTE FUNCTION am_credit_transaction_log_append_only_but_erasure();

CREATE FUNCTION am_credit_act_append_only_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.act_id, NEW.wallet_id, NEW.kind, NEW.subject, NEW.occurred_at, NEW.actor, NEW.reason)
       IS NOT DISTINCT FROM (OLD.act_id, OLD.wallet_id, OLD.kind, OLD.subject, OLD.occurred_at, OLD.actor, OLD.reason)
       AND OLD.kind NOT IN ('erasure.begun', 'erasure.sealed', 'erasure.ended')
       AND (NEW.author IS NOT DISTINCT FROM OLD.author OR NEW.author = 'owner' AND OLD.actor = 'payer')
       AND (NEW.address IS NULL OR NEW.address IS NOT DISTINCT FROM OLD.address)
       AND (NEW.request_id IS NULL OR NEW.request_id IS NOT DISTINCT FROM OLD.request_id)
       AND (NEW.note IS NULL OR NEW.note IS NOT DISTINCT FROM OLD.note)
       AND (NEW.before IS NOT DISTINCT FROM OLD.before
            OR NEW.before
               IS NOT DISTINCT FROM CAST(CAST(OLD.before AS jsonb)
                                         - ARRAY['label', 'reference', 'metadata', 'note', 'frozen_note', 'address', 'idempotency_key'] AS text))
       AND (NEW.after IS NOT DISTINCT FROM OLD.after
            OR NEW.after
               IS NOT DISTINCT FROM CAST(CAST(OLD.after AS jsonb)
                                         - ARRAY['label', 'reference', 'metadata', 'note', 'frozen_note', 'address', 'idempotency_key'] AS text))
       AND EXISTS (SELECT 1 FROM am_credit_erasure AS erasure
                   WHERE erasure.wallet_id = OLD.wallet_id AND erasure.ended_at IS NULL) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the log of acts is append-only'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

DROP TRIGGER am_credit_act_append_only_update ON am_credit_act;
CREATE TRIGGER am_credit_act_append_only_update
BEFORE UPDATE ON am_credit_act
FOR EACH ROW EXECUTE FUNCTION am_credit_act_append_only_but_erasure();

CREATE FUNCTION am_credit_budget_change_append_only_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.change_id, NEW.wallet_id, NEW.budget_id, NEW.changed_by, NEW.changed_at, NEW.after_txn_id)
       IS NOT DISTINCT FROM (OLD.change_id, OLD.wallet_id, OLD.budget_id, OLD.changed_by, OLD.changed_at, OLD.after_txn_id)
       AND (NEW.before IS NOT DISTINCT FROM OLD.before
            OR NEW.before IS NOT DISTINCT FROM CAST(jsonb_set(CAST(OLD.before AS jsonb), '{label}', 'null', false) AS text))
       AND (NEW.after IS NOT DISTINCT FROM OLD.after
            OR NEW.after IS NOT DISTINCT FROM CAST(jsonb_set(CAST(OLD.after AS jsonb), '{label}', 'null', false) AS text))
       AND EXISTS (SELECT 1 FROM am_credit_erasure AS erasure
                   WHERE erasure.wallet_id = OLD.wallet_id AND erasure.ended_at IS NULL) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'changes to budgets are kept as they are: make another change'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

DROP TRIGGER am_credit_budget_change_append_only_update ON am_credit_budget_change;
CREATE TRIGGER am_credit_budget_change_append_only_update
BEFORE UPDATE ON am_credit_budget_change
FOR EACH ROW EXECUTE FUNCTION am_credit_budget_change_append_only_but_erasure();

CREATE FUNCTION am_credit_grant_terms_fixed_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.grant_id, NEW.wallet_id, NEW.amount_yen, NEW.amount_fraction, NEW.kind, NEW.starts_at, NEW.every, NEW.until_at,
        NEW.lapses, NEW.lapse_days)
       IS NOT DISTINCT FROM (OLD.grant_id, OLD.wallet_id, OLD.amount_yen, OLD.amount_fraction, OLD.kind, OLD.starts_at, OLD.every, OLD.until_at,
                             OLD.lapses, OLD.lapse_days)
       AND NEW.note IS NULL
       AND EXISTS (SELECT 1 FROM am_credit_erasure AS erasure
                   WHERE erasure.wallet_id = OLD.wallet_id AND erasure.ended_at IS NULL) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the terms of a grant are kept as they are: cancel it and make another one'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

DROP TRIGGER am_credit_grant_terms_fixed ON am_credit_grant;
CREATE TRIGGER am_credit_grant_terms_fixed
BEFORE UPDATE OF grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note
ON am_credit_grant
FOR EACH ROW EXECUTE FUNCTION am_credit_grant_terms_fixed_but_erasure();
