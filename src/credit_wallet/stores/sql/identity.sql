-- Who may use what: tokens, hosts' own keys, and sellers. They run unchanged on every database.

-- opened: everything that a token's hash names, ended and revoked or not: wallet, key, seller, whether it is registered, its
-- end, the end and the revocation of what it opens, scopes, operator, name, role
SELECT wallet_id, 0, 0, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL
FROM am_credit_wallet WHERE owner_token_hash = :token_hash
UNION ALL
SELECT wallet_id, key_id, 0, 0, NULL, expires_at, revoked_at, scopes, 0, NULL, NULL
FROM am_credit_key WHERE token_hash = :token_hash
UNION ALL
SELECT 0, 0, 0, 0, y.ends_at, NULL, coalesce(y.revoked_at, o.revoked_at), NULL, o.operator_id, o.name, o.role
FROM am_credit_operator_key y JOIN am_credit_operator o ON o.operator_id = y.operator_id AND o.wallet_id = y.wallet_id
WHERE y.token_hash = :token_hash AND y.wallet_id = 0
UNION ALL
SELECT s.wallet_id, s.key_id, s.seller_id, s.registered, s.ends_at, k.expires_at,
       CASE WHEN s.seller_id > 0 THEN v.revoked_at ELSE k.revoked_at END, k.scopes, 0, NULL, NULL
FROM am_credit_secret s
LEFT JOIN am_credit_key k ON k.key_id = s.key_id AND k.wallet_id = s.wallet_id
LEFT JOIN am_credit_seller v ON v.seller_id = s.seller_id AND v.wallet_id = s.wallet_id
WHERE s.token_hash = :token_hash;

-- wallet_of_token: the wallet that an owner token was made for
SELECT wallet_id FROM am_credit_wallet WHERE owner_token_hash = :token_hash;

-- create_wallet: a new wallet
INSERT INTO am_credit_wallet (owner_token_hash, label, auto_topup_threshold, auto_topup_amount, monthly_budget_yen,
                              budget_mode, time_zone, auto_topup_consents, last_txn_id, created_at, updated_at)
VALUES (:token_hash, :label, :auto_topup_threshold, :auto_topup_amount, :monthly_budget_yen, :budget_mode, :time_zone,
        :consents, 0, :now, :now)
RETURNING wallet_id;

-- delete_unused_wallet: one that was made in this transaction
DELETE FROM am_credit_wallet WHERE wallet_id = :wallet_id;

-- key_of_token: the agent key that a token was made for
SELECT key_id FROM am_credit_key WHERE token_hash = :token_hash AND wallet_id = :wallet_id;

-- count_keys: agent keys of a wallet that work, as far as :max
SELECT count(*)
FROM (SELECT key_id FROM am_credit_key
      WHERE wallet_id = :wallet_id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
      LIMIT :max) AS working;

-- create_key: a new agent key
INSERT INTO am_credit_key (wallet_id, token_hash, label, monthly_cap_yen, created_at, expires_at, key_group, scopes)
VALUES (:wallet_id, :token_hash, :label, :monthly_cap_yen, :now, :expires_at, :key_group, :scopes)
RETURNING key_id;

-- lock_key: an agent key, for this transaction alone
UPDATE am_credit_key SET token_hash = token_hash WHERE key_id = :key_id
RETURNING wallet_id, token_hash, expires_at, revoked_at;

-- wallet_of_key: whose an agent key is
SELECT wallet_id FROM am_credit_key WHERE key_id = :key_id;

-- revoke_key: for good
UPDATE am_credit_key SET revoked_at = :now WHERE key_id = :key_id;

-- lock_owner: a wallet's owner, for this transaction alone
UPDATE am_credit_wallet SET owner_token_hash = owner_token_hash WHERE wallet_id = :wallet_id
RETURNING owner_token_hash;

-- lock_seller: a seller, for this transaction alone
UPDATE am_credit_seller SET label = label WHERE seller_id = :seller_id AND wallet_id = 0
RETURNING revoked_at;

-- is_secret_of: whether an identity has this secret beside its current token
SELECT 1 FROM am_credit_secret
WHERE token_hash = :token_hash AND wallet_id = :wallet_id AND key_id = :key_id AND seller_id = :seller_id;

-- end_tokens: the earlier tokens of an identity end at :ends_at at the latest
UPDATE am_credit_secret SET ends_at = :ends_at
WHERE wallet_id = :wallet_id AND key_id = :key_id AND seller_id = :seller_id AND registered = 0
  AND (ends_at IS NULL OR ends_at > :ends_at);

-- delete_ended: earlier tokens of an identity whose time is over
DELETE FROM am_credit_secret
WHERE wallet_id = :wallet_id AND key_id = :key_id AND seller_id = :seller_id AND registered = 0 AND ends_at <= :now;

-- count_tokens: tokens of an identity beside its current one
SELECT count(*) FROM am_credit_secret
WHERE wallet_id = :wallet_id AND key_id = :key_id AND seller_id = :seller_id AND registered = 0;

-- count_registered: keys of the host that open a wallet
SELECT count(*) FROM am_credit_secret WHERE wallet_id = :wallet_id AND registered = 1;

-- add_secret: one more secret of an identity
INSERT INTO am_credit_secret (token_hash, wallet_id, key_id, seller_id, registered, created_at, ends_at)
VALUES (:token_hash, :wallet_id, :key_id, :seller_id, :registered, :now, :ends_at);

-- set_key_token: another current token of an agent key
UPDATE am_credit_key SET token_hash = :token_hash WHERE key_id = :key_id;

-- set_owner_token: another current token of a wallet's owner
UPDATE am_credit_wallet SET owner_token_hash = :token_hash, updated_at = :now WHERE wallet_id = :wallet_id;

-- wallet_and_key: a wallet, and an agent key of it if :key_id is one
SELECT k.key_id, k.expires_at, k.revoked_at
FROM am_credit_wallet w LEFT JOIN am_credit_key k ON k.wallet_id = w.wallet_id AND k.key_id = :key_id
WHERE w.wallet_id = :wallet_id;

-- register_alone: nobody else registers until the transaction ends; on SQLite nobody else writes anyway
SELECT 1;

-- delete_ended_registrations: what a host registered and has ended
DELETE FROM am_credit_secret WHERE token_hash = :token_hash AND registered = 1 AND ends_at <= :now;

-- remove_secret: a secret of a wallet beside the current tokens
DELETE FROM am_credit_secret WHERE token_hash = :token_hash AND wallet_id > 0
RETURNING token_hash, wallet_id, key_id, registered, created_at, ends_at;

-- secret: one secret of a wallet
SELECT token_hash, wallet_id, key_id, registered, created_at, ends_at
FROM am_credit_secret
WHERE token_hash = :token_hash AND wallet_id = :wallet_id;

-- secrets: what opens a wallet beside the current tokens and has not ended, oldest first
SELECT token_hash, wallet_id, key_id, registered, created_at, ends_at
FROM am_credit_secret
WHERE wallet_id = :wallet_id AND (ends_at IS NULL OR ends_at > :now)
ORDER BY created_at, token_hash;

-- create_seller: a new seller
INSERT INTO am_credit_seller (label, created_at) VALUES (:label, :now) RETURNING seller_id;

-- seller_of_secret: the seller that a token was made for
SELECT seller_id FROM am_credit_secret WHERE token_hash = :token_hash AND wallet_id = 0;

-- revoke_seller: for good
UPDATE am_credit_seller SET revoked_at = :now WHERE seller_id = :seller_id AND wallet_id = 0;

-- sellers: a page of sellers, by id
SELECT seller_id, label, created_at, revoked_at FROM am_credit_seller
WHERE seller_id > :after AND wallet_id = 0
ORDER BY seller_id
LIMIT :limit;

-- seller: one seller
SELECT seller_id, label, created_at, revoked_at FROM am_credit_seller WHERE seller_id = :seller_id AND wallet_id = 0;

-- sold_by: which seller made a charge, directly or by its hold
SELECT s.seller_id, h.closer
FROM am_credit_transaction_log e
LEFT JOIN am_credit_sale s ON s.wallet_id = e.wallet_id AND s.txn_id = e.txn_id
LEFT JOIN am_credit_hold h ON h.wallet_id = e.wallet_id AND h.hold_id = e.hold_id
WHERE e.txn_id = :txn_id;

-- closer_of_hold: who made a hold
SELECT closer FROM am_credit_hold WHERE hold_id = :hold_id;
