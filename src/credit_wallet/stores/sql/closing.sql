-- Closing a wallet: what it waits for, and ending what opens it. They run unchanged on every database.

-- open_holds: a wallet's open holds and whether the buyer was served, those that expire first
SELECT hold_id, served FROM am_credit_hold
WHERE wallet_id = :wallet_id AND status = 'open'
ORDER BY expires_at, hold_id
LIMIT :limit;

-- open_topups: a wallet's top-ups that may still be credited, oldest first
SELECT topup_id FROM am_credit_topup
WHERE wallet_id = :wallet_id AND status IN ('requested', 'pending', 'requires_action', 'succeeded')
ORDER BY created_at, topup_id
LIMIT :limit;

-- running_purchases: how many of a wallet's purchases are being served
SELECT count(*) FROM am_credit_purchase WHERE status = 'running' AND wallet_id = :wallet_id;

-- lock_wallet: a wallet, for this transaction alone
UPDATE am_credit_wallet SET updated_at = :now WHERE wallet_id = :wallet_id RETURNING closed_at;

-- revoke_keys: all agent keys of a wallet that work
UPDATE am_credit_key SET revoked_at = :now WHERE wallet_id = :wallet_id AND revoked_at IS NULL RETURNING key_id;

-- remove_secrets: registered keys of a wallet, and earlier tokens in their overlap
DELETE FROM am_credit_secret WHERE wallet_id = :wallet_id RETURNING token_hash;

-- set_owner_token: another current token of a wallet's owner
UPDATE am_credit_wallet SET owner_token_hash = :token_hash, updated_at = :now WHERE wallet_id = :wallet_id;

-- drop_payer: the saved payment method of a wallet's owner, and whose it is
DELETE FROM am_credit_payer WHERE wallet_id = :wallet_id RETURNING wallet_id;
