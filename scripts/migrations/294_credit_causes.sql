-- 294: why credit came or went, where an entry's type does not say it.

-- Of top-ups: 'payment', 'grant', 'reinstatement' or 'pay_back_failed'. Of reversals: 'clawback', 'pay_back' or
-- 'debt_repayment'. Entries from before, and those of plain SQL, have none: until then their notes said it.
ALTER TABLE am_credit_transaction_log ADD COLUMN cause TEXT;

-- What was paid back is limited by law over all wallets, so it is summed while it is decided.
CREATE INDEX idx_am_credit_transaction_log_pay_back ON am_credit_transaction_log (occurred_at)
    WHERE cause IN ('pay_back', 'pay_back_failed');
