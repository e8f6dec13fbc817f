-- 311: wallets that are frozen, being closed, closed, or merged into another one. A wallet that is not enabled is frozen; what
-- is here says since when and why, and is empty when plain SQL has switched it off.

ALTER TABLE am_credit_wallet
    ADD COLUMN frozen_at TEXT COLLATE "C",
    ADD COLUMN frozen_reason TEXT COLLATE "C",
    ADD COLUMN frozen_note TEXT,
    ADD COLUMN closing_at TEXT COLLATE "C",       -- when closing it began
    ADD COLUMN closed_at TEXT COLLATE "C",        -- for good
    ADD COLUMN merged_into BIGINT;                -- the wallet that its credit goes to, or went to
