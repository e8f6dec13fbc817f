-- Drops what 299 added, unless a budget or a group of agent keys is in use: limits would be gone without anybody's wish.

CREATE TEMP TABLE nothing_may_be_limited (
    limited INTEGER CONSTRAINT "there are budgets, or agent keys in groups; delete the budgets and take the keys out of their groups, or keep 299"
        CHECK (limited = 0)
);
INSERT INTO nothing_may_be_limited
SELECT EXISTS (SELECT 1 FROM am_credit_budget WHERE deleted_at IS NULL)
    OR EXISTS (SELECT 1 FROM am_credit_key WHERE key_group IS NOT NULL);
DROP TABLE nothing_may_be_limited;

DROP TABLE am_credit_budget_change;
DROP TABLE am_credit_budget_step;
DROP TABLE am_credit_budget_held;
DROP TABLE am_credit_budget_spent;
DROP TABLE am_credit_budget;
ALTER TABLE am_credit_hold DROP COLUMN reserved;
ALTER TABLE am_credit_key DROP COLUMN key_group;
ALTER TABLE am_credit_wallet DROP COLUMN recovery_due;
ALTER TABLE am_credit_wallet DROP COLUMN budget_kinds;
