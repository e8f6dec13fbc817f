-- Drops what 315 added, and makes the triggers what they were. Seals of ranges with erased texts need it, so it is refused
-- where something was erased.

CREATE TEMP TABLE nothing_may_be_erased (
    erased INTEGER CONSTRAINT "personal data was erased, which seals are proved with; 315 stays" CHECK (erased = 0)
);
INSERT INTO nothing_may_be_erased SELECT count(*) FROM am_credit_erasure;
DROP TABLE nothing_may_be_erased;

DROP TRIGGER am_credit_transaction_log_append_only_update;
CREATE TRIGGER am_credit_transaction_log_append_only_update
BEFORE UPDATE ON am_credit_transaction_log
WHEN OLD.prev_txn_id IS NOT NULL
  OR (NEW.txn_id, NEW.wallet_id, NEW.amount_yen, NEW.txn_type, NEW.occurred_at)
     IS NOT (OLD.txn_id, OLD.wallet_id, OLD.amount_yen, OLD.txn_type, OLD.occurred_at)
  OR NEW.note IS NOT OLD.note
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: write a refund or a reversal instead of changing an entry');
END;

DROP TRIGGER am_credit_act_append_only_update;
CREATE TRIGGER am_credit_act_append_only_update
BEFORE UPDATE ON am_credit_act
BEGIN
    SELECT RAISE(ABORT, 'the log of acts is append-only');
END;

DROP TRIGGER am_credit_budget_change_append_only_update;
CREATE TRIGGER am_credit_budget_change_append_only_update
BEFORE UPDATE ON am_credit_budget_change
BEGIN
    SELECT RAISE(ABORT, 'changes to budgets are kept as they are: make another change');
END;

DROP TRIGGER am_credit_grant_terms_fixed;
CREATE TRIGGER am_credit_grant_terms_fixed
BEFORE UPDATE OF grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note
ON am_credit_grant
BEGIN
    SELECT RAISE(ABORT, 'the terms of a grant are kept as they are: cancel it and make another one');
END;

DROP TABLE am_credit_erasure;
