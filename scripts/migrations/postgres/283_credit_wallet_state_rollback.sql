-- Drops what 283 added.

DROP TABLE am_credit_cycle_spend;
DROP TABLE am_credit_returned;
DROP TABLE am_credit_hold;
DROP SEQUENCE am_credit_hold_hold_id_seq;
DROP TABLE am_credit_lot;
DROP INDEX idx_am_credit_wallet_due;
ALTER TABLE am_credit_wallet
    DROP COLUMN exhausted,
    DROP COLUMN next_due_at,
    DROP COLUMN last_txn_id,
    DROP COLUMN alerted_pct,
    DROP COLUMN cycle_spent_yen,
    DROP COLUMN current_cycle,
    DROP COLUMN open_lots,
    DROP COLUMN opening_yen,
    DROP COLUMN debt_yen,
    DROP COLUMN held_yen,
    DROP COLUMN time_zone,
    DROP COLUMN budget_mode,
    DROP COLUMN label;
