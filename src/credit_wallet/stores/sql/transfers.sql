-- Transfers between wallets (300). Each statement is about one wallet's side; they run unchanged on every database.

-- transfer: a wallet's side of a transfer
SELECT transfer_id, wallet_id, direction, other_wallet_id, status, amount_yen, amount_fraction, balance_yen,
       balance_fraction, lots, txn_id, returned_txn_id, note, reason, created_at, ended_at
FROM am_credit_transfer
WHERE wallet_id = :wallet_id AND transfer_id = :transfer_id;

-- put_transfer: keep a wallet's side of a transfer, which must be new
INSERT INTO am_credit_transfer (transfer_id, wallet_id, direction, other_wallet_id, status, amount_yen, amount_fraction,
                                balance_yen, balance_fraction, lots, txn_id, returned_txn_id, note, reason, created_at,
                                ended_at)
VALUES (:transfer_id, :wallet_id, :direction, :other_wallet_id, :status, :amount_yen, :amount_fraction, :balance_yen,
        :balance_fraction, :lots, :txn_id, :returned_txn_id, :note, :reason, :created_at, :ended_at);

-- end_transfer: how a transfer has ended
UPDATE am_credit_transfer
SET status = :status, returned_txn_id = :returned_txn_id, reason = :reason, ended_at = :ended_at
WHERE wallet_id = :wallet_id AND transfer_id = :transfer_id;

-- transfers: a wallet's transfers, newest first, after one of them; what it refused has never been the wallet's
SELECT transfer_id, wallet_id, direction, other_wallet_id, status, amount_yen, amount_fraction, balance_yen,
       balance_fraction, lots, txn_id, returned_txn_id, note, reason, created_at, ended_at
FROM am_credit_transfer
WHERE wallet_id = :wallet_id AND status <> 'refused'
  AND (CAST(:before AS TEXT) IS NULL OR (created_at, transfer_id) < (:before, :before_id))
ORDER BY created_at DESC, transfer_id DESC
LIMIT :limit;

-- on_their_way: transfers that are out since before :before, the oldest first, after one of them; a clock that was put back
-- has dated some in the future
SELECT wallet_id, transfer_id, created_at
FROM am_credit_transfer
WHERE status = 'out' AND (created_at < :before OR created_at > :now)
  AND (created_at, wallet_id, transfer_id) > (:after, :after_wallet_id, :after_id)
ORDER BY created_at, wallet_id, transfer_id
LIMIT :limit;
