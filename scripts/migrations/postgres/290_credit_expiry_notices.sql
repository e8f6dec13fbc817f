-- 290: what was said of credit that is going to expire.

ALTER TABLE am_credit_lot ADD COLUMN notices_emitted INTEGER NOT NULL DEFAULT 0
    CHECK (notices_emitted BETWEEN 0 AND 2);   -- of those 30 and 7 days before its end
CREATE INDEX idx_am_credit_lot_next_notice ON am_credit_lot (notices_emitted, expires_at)
    WHERE expires_at IS NOT NULL AND notices_emitted < 2;
