-- Erasure of personal data: what a closed wallet's rows have of people is emptied, in steps.

-- closed: whether there is a wallet, and when it was closed
SELECT closed_at FROM am_credit_wallet WHERE wallet_id = :wallet_id;

-- erasure: when a wallet's erasure began and ended
SELECT begun_at, ended_at FROM am_credit_erasure WHERE wallet_id = :wallet_id;

-- begin: the erasure of a wallet has begun
INSERT INTO am_credit_erasure (wallet_id, begun_at) VALUES (:wallet_id, :at)
ON CONFLICT (wallet_id) DO NOTHING
RETURNING wallet_id;

-- finish: it has ended, or goes on where :at is NULL
UPDATE am_credit_erasure SET ended_at = :at WHERE wallet_id = :wallet_id;

-- wallet: its label, and why it was frozen in words
UPDATE am_credit_wallet SET label = NULL, frozen_note = NULL
WHERE wallet_id = :wallet_id AND (label IS NOT NULL OR frozen_note IS NOT NULL)
RETURNING wallet_id;

-- keys: labels of its agent keys
UPDATE am_credit_key SET label = NULL WHERE wallet_id = :wallet_id AND label IS NOT NULL RETURNING key_id;

-- names: references and metadata of the wallet and its agent keys; the beginnings of tokens stay
UPDATE am_credit_profile SET reference = '', metadata = '{}', sorted_label = ''
WHERE wallet_id = :wallet_id AND (reference <> '' OR metadata <> '{}' OR sorted_label <> '')
RETURNING key_id;

-- reference: by which it was found
DELETE FROM am_credit_reference WHERE wallet_id = :wallet_id RETURNING wallet_id;

-- terms: by which it was searched
DELETE FROM am_credit_search_term WHERE wallet_id = :wallet_id RETURNING term;

-- payer: its customer and payment method at the provider
DELETE FROM am_credit_payer WHERE wallet_id = :wallet_id RETURNING wallet_id;

-- grants: notes of promised credit
UPDATE am_credit_grant SET note = NULL WHERE wallet_id = :wallet_id AND note IS NOT NULL RETURNING grant_id;

-- keys_of_grants: idempotency keys of the requests that promised it
UPDATE am_credit_grant SET idempotency_key = 'erased ' || grant_id
WHERE wallet_id = :wallet_id AND idempotency_key <> 'erased ' || grant_id
RETURNING grant_id;

-- transfers: notes of its own side of transfers
UPDATE am_credit_transfer SET note = NULL WHERE wallet_id = :wallet_id AND note IS NOT NULL RETURNING transfer_id;

-- budgets: labels of its budgets
UPDATE am_credit_budget SET label = NULL WHERE wallet_id = :wallet_id AND label IS NOT NULL RETURNING budget_id;

-- budget_changes: the same in the log of changes to them
UPDATE am_credit_budget_change SET before = json_replace(before, '$.label', NULL), after = json_replace(after, '$.label', NULL)
WHERE wallet_id = :wallet_id AND (before ->> 'label' IS NOT NULL OR after ->> 'label' IS NOT NULL)
RETURNING change_id;

-- targets: where its notices went
DELETE FROM am_credit_target WHERE wallet_id = :wallet_id RETURNING target_id;

-- told_holds: some of its holds that have a note or names
SELECT hold_id, CAST(usage AS TEXT) FROM am_credit_hold
WHERE wallet_id = :wallet_id
  AND (note IS NOT NULL OR usage ->> 'request_id' IS NOT NULL OR usage ->> 'reference' IS NOT NULL
       OR usage ->> 'metadata' IS NOT NULL OR usage ->> 'idempotency_key' IS NOT NULL)
LIMIT :limit;

-- empty_hold: one of them without either
UPDATE am_credit_hold SET note = NULL, usage = :usage WHERE hold_id = :hold_id AND wallet_id = :wallet_id;

-- purchases: some of its purchases, which the ledger's entries outlive
DELETE FROM am_credit_purchase
WHERE wallet_id = :wallet_id AND purchase_key IN (
    SELECT purchase_key FROM am_credit_purchase WHERE wallet_id = :wallet_id AND status <> 'running' LIMIT :limit)
RETURNING purchase_key;

-- requests: some of its idempotency keys
DELETE FROM am_credit_idempotency
WHERE wallet_id = :wallet_id AND idempotency_key IN (
    SELECT idempotency_key FROM am_credit_idempotency WHERE wallet_id = :wallet_id LIMIT :limit)
RETURNING idempotency_key;

-- deliveries: some of its notices
DELETE FROM am_credit_delivery
WHERE wallet_id = :wallet_id AND delivery_id IN (
    SELECT delivery_id FROM am_credit_delivery WHERE wallet_id = :wallet_id LIMIT :limit)
RETURNING delivery_id;

-- events: some of its events
DELETE FROM am_credit_outbox
WHERE wallet_id = :wallet_id AND event_id IN (
    SELECT event_id FROM am_credit_outbox WHERE wallet_id = :wallet_id LIMIT :limit)
RETURNING event_id;

-- seal_of_entry: the seal that covers an entry
SELECT seal_id FROM am_credit_seal WHERE last_txn_id >= :id ORDER BY seal_id LIMIT 1;

-- seal_of_act: the seal that covers an act
SELECT seal_id FROM am_credit_seal WHERE acts > 0 AND last_act_id >= :id ORDER BY seal_id LIMIT 1;

-- lock_seal: a range, for this transaction alone
SELECT seal_id FROM am_credit_seal WHERE seal_id = :seal_id;

-- told_entries: entries of a range that have a note or names; what the ledger itself has noted stays
SELECT e.txn_id, CASE WHEN {is_own} THEN e.note END, CAST(e.detail AS TEXT)
FROM am_credit_transaction_log e
WHERE e.txn_id > :after AND e.txn_id <= :last AND e.wallet_id = :wallet_id
  AND (e.note IS NOT NULL AND NOT ({is_own}) OR e.detail ->> 'request_id' IS NOT NULL
       OR e.detail ->> 'reference' IS NOT NULL OR e.detail ->> 'metadata' IS NOT NULL
       OR e.detail ->> 'idempotency_key' IS NOT NULL);

-- empty_entry: one of them without either
UPDATE am_credit_transaction_log SET note = :note, detail = :detail WHERE txn_id = :txn_id AND wallet_id = :wallet_id;

-- drop_name: an entry is not found by this any more
DELETE FROM am_credit_entry_name
WHERE named = :named AND name = :name AND wallet_id = :wallet_id AND txn_id = :txn_id;

-- acts: texts, addresses and names of people of acts of a range
UPDATE am_credit_act
SET note = NULL, address = NULL, request_id = NULL,
    author = CASE WHEN {is_person} THEN 'owner' ELSE author END,
    before = json_remove(before, {told}),
    after = json_remove(after, {told})
WHERE act_id > :after AND act_id <= :last AND wallet_id = :wallet_id
  AND kind NOT IN ('erasure.begun', 'erasure.sealed', 'erasure.ended')
  AND (note IS NOT NULL OR address IS NOT NULL OR request_id IS NOT NULL OR {is_person}
       OR before <> json_remove(before, {told})
       OR after <> json_remove(after, {told}))
RETURNING act_id;
