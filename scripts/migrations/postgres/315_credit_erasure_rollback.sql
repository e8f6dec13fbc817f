-- Drops what 315 added, and makes the triggers what they were. Seals of ranges with erased texts need it, so it is refused
-- where something was erased.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_erasure) THEN
        RAISE EXCEPTION 'personal data was erased, which seals are proved with; 315 stays'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP TRIGGER am_credit_transaction_log_append_only_update ON am_credit_transaction_log;
CREATE TRIGGER am_credit_transaction_log_append_only_update
BEFORE UPDATE ON am_credit_transaction_log
FOR EACH ROW
WHEN (OLD.prev_txn_id IS NOT NULL
      OR (NEW.txn_id, NEW.wallet_id, NEW.amount_yen, NEW.txn_type, NEW.occurred_at, NEW.note)
         IS DISTINCT FROM (OLD.txn_id, OLD.wallet_id, OLD.amount_yen, OLD.txn_type, OLD.occurred_at, OLD.note))
EXECUTE FUNCTION am_credit_transaction_log_append_only();

DROP TRIGGER am_credit_act_append_only_update ON am_credit_act;
CREATE TRIGGER am_credit_act_append_only_update
BEFORE UPDATE ON am_credit_act
FOR EACH ROW EXECUTE FUNCTION am_credit_act_append_only();

DROP TRIGGER am_credit_budget_change_append_only_update ON am_credit_budget_change;
CREATE TRIGGER am_credit_budget_change_append_only_update
BEFORE UPDATE ON am_credit_budget_change
FOR EACH ROW EXECUTE FUNCTION am_credit_budget_change_append_only();

DROP TRIGGER am_credit_grant_terms_fixed ON am_credit_grant;
CREATE TRIGGER am_credit_grant_terms_fixed
BEFORE UPDATE OF grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note
ON am_credit_grant
FOR EACH ROW EXECUTE FUNCTION am_credit_grant_terms_fixed();

DROP FUNCTION am_credit_grant_terms_fixed_but_erasure();
DROP FUNCTION am_credit_budget_change_append_only_but_erasure();
DROP FUNCTION am_credit_act_append_only_but_erasure();
DROP FUNCTION am_credit_transaction_log_append_only_but_erasure();
DROP TABLE am_credit_erasure;
