-- What wallets and agent keys are called by the host, and the terms by which they are found. They run on every database.

-- wallet_of_reference: the wallet that has a reference
SELECT wallet_id FROM am_credit_reference WHERE reference = :reference;

-- reference_of_wallet: the reference that a wallet has
SELECT reference FROM am_credit_reference WHERE wallet_id = :wallet_id;

-- put_reference: a wallet's reference, unless another wallet has it
INSERT INTO am_credit_reference (reference, wallet_id) VALUES (:reference, :wallet_id)
ON CONFLICT (reference) DO NOTHING
RETURNING wallet_id;

-- drop_reference: a wallet has none
DELETE FROM am_credit_reference WHERE wallet_id = :wallet_id;

-- key_of_reference: the agent key of a wallet that has a reference
SELECT key_id FROM am_credit_profile WHERE wallet_id = :wallet_id AND key_id > 0 AND reference = :reference;

-- names: what a wallet (key_id 0) or an agent key is called
SELECT reference, token_prefix, metadata FROM am_credit_profile WHERE wallet_id = :wallet_id AND key_id = :key_id;

-- label_of_wallet: a wallet's label
SELECT label FROM am_credit_wallet WHERE wallet_id = :wallet_id;

-- label_of_key: an agent key's label
SELECT label FROM am_credit_key WHERE wallet_id = :wallet_id AND key_id = :key_id;

-- put_names: all names of a new wallet or agent key
INSERT INTO am_credit_profile (wallet_id, key_id, reference, token_prefix, sorted_label, created_at, metadata)
VALUES (:wallet_id, :key_id, :reference, :token_prefix, :sorted_label, :created_at, :metadata);

-- set_reference: the reference of a wallet or an agent key
INSERT INTO am_credit_profile (wallet_id, key_id, created_at, reference)
VALUES (:wallet_id, :key_id, (SELECT created_at FROM am_credit_wallet WHERE wallet_id = :wallet_id), :reference)
ON CONFLICT (wallet_id, key_id) DO UPDATE SET reference = excluded.reference;

-- set_token_prefix: the beginning of its token
INSERT INTO am_credit_profile (wallet_id, key_id, created_at, token_prefix)
VALUES (:wallet_id, :key_id, (SELECT created_at FROM am_credit_wallet WHERE wallet_id = :wallet_id), :token_prefix)
ON CONFLICT (wallet_id, key_id) DO UPDATE SET token_prefix = excluded.token_prefix;

-- set_metadata: its metadata
INSERT INTO am_credit_profile (wallet_id, key_id, created_at, metadata)
VALUES (:wallet_id, :key_id, (SELECT created_at FROM am_credit_wallet WHERE wallet_id = :wallet_id), :metadata)
ON CONFLICT (wallet_id, key_id) DO UPDATE SET metadata = excluded.metadata;

-- set_sorted_label: the label as it is sorted by; of an agent key it is empty
INSERT INTO am_credit_profile (wallet_id, key_id, created_at, sorted_label)
VALUES (:wallet_id, :key_id, (SELECT created_at FROM am_credit_wallet WHERE wallet_id = :wallet_id), :sorted_label)
ON CONFLICT (wallet_id, key_id) DO UPDATE SET sorted_label = excluded.sorted_label;

-- terms: by which a wallet or an agent key is found
SELECT term FROM am_credit_search_term WHERE wallet_id = :wallet_id AND key_id = :key_id;

-- drop_term: it is not found by this any more
DELETE FROM am_credit_search_term WHERE term = :term AND wallet_id = :wallet_id AND key_id = :key_id;

-- filled_to: wallets up to this id have their names
SELECT last_txn_id FROM am_credit_counted WHERE counted = 'searchable';

-- note_filled: the same, from now on
INSERT INTO am_credit_counted (counted, last_txn_id) VALUES ('searchable', :last)
ON CONFLICT (counted) DO UPDATE SET last_txn_id = excluded.last_txn_id;

-- next_wallets: wallets above :after, by id
SELECT wallet_id, label, created_at FROM am_credit_wallet WHERE wallet_id > :after ORDER BY wallet_id LIMIT :limit;

-- lack_names: a row if some wallets, or agent keys of theirs that have a label, were made without names
SELECT 1 FROM am_credit_wallet w
LEFT JOIN am_credit_profile p ON p.wallet_id = w.wallet_id AND p.key_id = 0
WHERE w.wallet_id > :after AND w.wallet_id <= :last AND p.wallet_id IS NULL
UNION ALL
SELECT 1 FROM am_credit_key k
LEFT JOIN am_credit_profile p ON p.wallet_id = k.wallet_id AND p.key_id = k.key_id
WHERE k.wallet_id > :after AND k.wallet_id <= :last AND k.label IS NOT NULL AND p.wallet_id IS NULL
LIMIT 1;

-- labels_of_keys: the labels of the agent keys of some wallets
SELECT wallet_id, key_id, label FROM am_credit_key
WHERE wallet_id > :after AND wallet_id <= :last AND label IS NOT NULL;
