-- Drops what 311 added. Closed wallets stay switched off.

ALTER TABLE am_credit_wallet
    DROP COLUMN merged_into,
    DROP COLUMN closed_at,
    DROP COLUMN closing_at,
    DROP COLUMN frozen_note,
    DROP COLUMN frozen_reason,
    DROP COLUMN frozen_at;
