-- 311: wallets that are frozen, being closed, closed, or merged into another one. A wallet that is not enabled is frozen; what
-- is here says since when and why, and is empty when plain SQL has switched it off.

ALTER TABLE am_credit_wallet ADD COLUMN frozen_at TEXT;
ALTER TABLE am_credit_wallet ADD COLUMN frozen_reason TEXT;
ALTER TABLE am_credit_wallet ADD COLUMN frozen_note TEXT;
ALTER TABLE am_credit_wallet ADD COLUMN closing_at TEXT;       -- when closing it began
ALTER TABLE am_credit_wallet ADD COLUMN closed_at TEXT;        -- for good
ALTER TABLE am_credit_wallet ADD COLUMN merged_into INTEGER;   -- the wallet that its credit goes to, or went to
