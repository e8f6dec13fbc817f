-- Tokens that end because somebody names them. They run unchanged on every database.

-- revoked: what a token was that was revoked before
SELECT kind, wallet_id, key_id, seller_id, operator_id, revoked_at FROM am_credit_revoked_token
WHERE token_hash = :token_hash
ORDER BY revoked_at DESC
LIMIT 1;

-- take_from_owner: the owner has another token, which nobody knows
UPDATE am_credit_wallet SET owner_token_hash = :stand_in, updated_at = :now WHERE owner_token_hash = :token_hash
RETURNING wallet_id;

-- key_of_token: the agent key that has a token now
SELECT key_id, wallet_id FROM am_credit_key WHERE token_hash = :token_hash;

-- take_from_others: earlier tokens, registered keys of hosts, and tokens of sellers
DELETE FROM am_credit_secret WHERE token_hash = :token_hash
RETURNING registered, wallet_id, key_id, seller_id;

-- take_from_operator: a key of an operator, when it was revoked first
UPDATE am_credit_operator_key SET revoked_at = coalesce(revoked_at, :now) WHERE token_hash = :token_hash
RETURNING operator_id, revoked_at;

-- remember: so that the same call is answered again
INSERT INTO am_credit_revoked_token (token_hash, wallet_id, kind, key_id, seller_id, operator_id, revoked_at)
VALUES (:token_hash, :wallet_id, :kind, :key_id, :seller_id, :operator_id, :revoked_at)
ON CONFLICT (token_hash, wallet_id) DO UPDATE
SET kind = excluded.kind, key_id = excluded.key_id, seller_id = excluded.seller_id, operator_id = excluded.operator_id,
    revoked_at = excluded.revoked_at;
