-- Drops what 299 added, unless a budget or a group of agent keys is in use: limits would be gone without anybody's wish.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_budget WHERE deleted_at IS NULL)
       OR EXISTS (SELECT FROM am_credit_key WHERE key_group IS NOT NULL)
    THEN
        RAISE EXCEPTION 'there are budgets, or agent keys in groups; delete the budgets and take the keys out of their groups, or keep 299'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP TABLE am_credit_budget_change;
DROP SEQUENCE am_credit_budget_change_change_id_seq;
DROP FUNCTION am_credit_budget_change_append_only();
DROP TABLE am_credit_budget_step;
DROP TABLE am_credit_budget_held;
DROP TABLE am_credit_budget_spent;
DROP TABLE am_credit_budget;
DROP SEQUENCE am_credit_budget_budget_id_seq;
ALTER TABLE am_credit_hold DROP COLUMN reserved;
ALTER TABLE am_credit_key DROP COLUMN key_group;
ALTER TABLE am_credit_wallet DROP COLUMN recovery_due, DROP COLUMN budget_kinds;
