-- Notices of credit that is going to expire. They run unchanged on every database.

-- notice_due: whether a lot of which :emitted notices were emitted ends by :until
SELECT 1 FROM am_credit_lot
WHERE expires_at IS NOT NULL AND notices_emitted < 2 AND notices_emitted = :emitted AND expires_at <= :until
LIMIT 1;

-- notices_due: such lots, those that end first
SELECT wallet_id, lot_id, notices_emitted, expires_at FROM am_credit_lot
WHERE expires_at IS NOT NULL AND notices_emitted < 2 AND notices_emitted = :emitted AND expires_at <= :until
ORDER BY expires_at
LIMIT :limit;

-- note_notice: take the notice of a lot, unless somebody has
UPDATE am_credit_lot SET notices_emitted = :passed
WHERE wallet_id = :wallet_id AND lot_id = :lot_id AND notices_emitted = :emitted
RETURNING lot_id;

-- open_lots: what a wallet's open lots hold, as JSON
SELECT open_lots FROM am_credit_wallet WHERE wallet_id = :wallet_id;
