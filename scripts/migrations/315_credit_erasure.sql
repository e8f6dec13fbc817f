-- 315: erasure of personal data — the texts of a closed wallet's entries, acts, grants and budgets can be emptied while it is
-- being erased. Every other UPDATE, and every DELETE, is refused as before.

-- Wallets whose personal data was erased, or is being erased: ended_at is NULL then.
CREATE TABLE am_credit_erasure (
    wallet_id INTEGER NOT NULL PRIMARY KEY,
    begun_at  TEXT    NOT NULL,
    ended_at  TEXT
);

DROP TRIGGER am_credit_transaction_log_append_only_update;
CREATE TRIGGER am_credit_transaction_log_append_only_update
BEFORE UPDATE ON am_credit_transaction_log
WHEN (OLD.prev_txn_id IS NOT NULL
      OR (NEW.txn_id, NEW.wallet_id, NEW.amount_yen, NEW.txn_type, NEW.occurred_at)
         IS NOT (OLD.txn_id, OLD.wallet_id, OLD.amount_yen, OLD.txn_type, OLD.occurred_at)
      OR NEW.note IS NOT OLD.note)
 AND ((NEW.txn_id, NEW.wallet_id, NEW.amount_yen, NEW.txn_type, NEW.occurred_at, NEW.prev_txn_id, NEW.ledger_balance_yen,
       NEW.lots, NEW.key_id, NEW.related_txn_id, NEW.hold_id, NEW.cause)
      IS NOT (OLD.txn_id, OLD.wallet_id, OLD.amount_yen, OLD.txn_type, OLD.occurred_at, OLD.prev_txn_id, OLD.ledger_balance_yen,
              OLD.lots, OLD.key_id, OLD.related_txn_id, OLD.hold_id, OLD.cause)
      OR NEW.note IS NOT NULL AND NEW.note IS NOT OLD.note
      OR NEW.detail IS NOT OLD.detail
         AND NEW.detail IS NOT nullif(json_remove(OLD.detail, '$.request_id', '$.reference', '$.metadata', '$.idempotency_key'),
                                      '{}')
      OR NOT EXISTS (SELECT 1 FROM am_credit_erasure AS erasure
                     WHERE erasure.wallet_id = OLD.wallet_id AND erasure.ended_at IS NULL))
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: write a refund or a reversal instead of changing an entry');
END;

DROP TRIGGER am_credit_act_append_only_update;
CREATE TRIGGER am_credit_act_append_only_update
BEFORE UPDATE ON am_credit_act
WHEN (NEW.act_id, NEW.wallet_id, NEW.kind, NEW.subject, NEW.occurred_at, NEW.actor, NEW.reason)
     IS NOT (OLD.act_id, OLD.wallet_id, OLD.kind, OLD.subject, OLD.occurred_at, OLD.actor, OLD.reason)
  OR OLD.kind IN ('erasure.begun', 'erasure.sealed', 'erasure.ended')
  OR NEW.author IS NOT OLD.author AND NOT (NEW.author = 'owner' AND OLD.actor = 'payer')
  OR NEW.address IS NOT NULL AND NEW.address IS NOT OLD.address
  OR NEW.request_id IS NOT NULL AND NEW.request_id IS NOT OLD.request_id
  OR NEW.note IS NOT NULL AND NEW.note IS NOT OLD.note
  OR NEW.before IS NOT OLD.before
     AND NEW.before IS NOT json_remove(OLD.before, '$.label', '$.reference', '$.metadata', '$.note', '$.frozen_note', '$.address',
                                    '$.idempotency_key')
  OR NEW.after IS NOT OLD.after
     AND NEW.after IS NOT json_remove(OLD.after, '$.label', '$.reference', '$.metadata', '$.note', '$.frozen_note', '$.address',
                                    '$.idempotency_key')
  OR NOT EXISTS (SELECT 1 FROM am_credit_erasure AS erasure
                 WHERE erasure.wallet_id = OLD.wallet_id AND erasure.ended_at IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'the log of acts is append-only');
END;

DROP TRIGGER am_credit_budget_change_append_only_update;
CREATE TRIGGER am_credit_budget_change_append_only_update
BEFORE UPDATE ON am_credit_budget_change
WHEN (NEW.change_id, NEW.wallet_id, NEW.budget_id, NEW.changed_by, NEW.changed_at, NEW.after_txn_id)
     IS NOT (OLD.change_id, OLD.wallet_id, OLD.budget_id, OLD.changed_by, OLD.changed_at, OLD.after_txn_id)
  OR NEW.before IS NOT OLD.before AND NEW.before IS NOT json_replace(OLD.before, '$.label', NULL)
  OR NEW.after IS NOT OLD.after AND NEW.after IS NOT json_replace(OLD.after, '$.label', NULL)
  OR NOT EXISTS (SELECT 1 FROM am_credit_erasure AS erasure
                 WHERE erasure.wallet_id = OLD.wallet_id AND erasure.ended_at IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'changes to budgets are kept as they are: make another change');
END;

DROP TRIGGER am_credit_grant_terms_fixed;
CREATE TRIGGER am_credit_grant_terms_fixed
BEFORE UPDATE OF grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note
ON am_credit_grant
WHEN (NEW.grant_id, NEW.wallet_id, NEW.amount_yen, NEW.amount_fraction, NEW.kind, NEW.starts_at, NEW.every, NEW.until_at,
      NEW.lapses, NEW.lapse_days)
     IS NOT (OLD.grant_id, OLD.wallet_id, OLD.amount_yen, OLD.amount_fraction, OLD.kind, OLD.starts_at, OLD.every, OLD.until_at,
             OLD.lapses, OLD.lapse_days)
  OR NEW.note IS NOT NULL
  OR NOT EXISTS (SELECT 1 FROM am_credit_erasure AS erasure
                 WHERE erasure.wallet_id = OLD.wallet_id AND erasure.ended_at IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'the terms of a grant are kept as they are: cancel it and make another one');
END;
