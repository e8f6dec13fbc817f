-- Walks along a wallet's chain of entries, and searches among them. They run unchanged on every database.

-- history: a wallet's entries from :start back along its chain
WITH RECURSIVE chain AS (
    SELECT * FROM am_credit_transaction_log WHERE txn_id = :start AND wallet_id = :wallet_id
    UNION ALL
    SELECT e.* FROM chain c
    JOIN am_credit_transaction_log e ON e.txn_id = c.prev_txn_id AND e.wallet_id = c.wallet_id
)
SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, note, ledger_balance_yen, key_id, related_txn_id, hold_id,
       cause, CAST(detail AS TEXT)
FROM chain
LIMIT :limit;

-- previous: the entry after which :txn_id stands in its wallet's chain
SELECT prev_txn_id FROM am_credit_transaction_log WHERE txn_id = :txn_id AND wallet_id = :wallet_id;

-- filtered_history: those of a wallet's entries from :start back along its chain that have what is asked for; a refund has
-- key, note and item of the charge that it refunds. The walk ends after :steps entries; the last of them comes in any case,
-- to go on from
WITH RECURSIVE chain AS (
    SELECT e.*, 1 AS step FROM am_credit_transaction_log e WHERE txn_id = :start AND wallet_id = :wallet_id
    UNION ALL
    SELECT e.*, c.step + 1 FROM chain c
    JOIN am_credit_transaction_log e ON e.txn_id = c.prev_txn_id AND e.wallet_id = c.wallet_id
    WHERE c.step < :steps
), judged AS (
    SELECT chain.*, CASE WHEN
        (CAST(:txn_type AS TEXT) IS NULL OR txn_type = :txn_type)
        AND (CAST(:since AS TEXT) IS NULL OR replace(occurred_at, ' ', 'T') >= :since)
        AND (CAST(:until AS TEXT) IS NULL OR replace(occurred_at, ' ', 'T') < :until)
        AND (CAST(:key_id AS BIGINT) IS NULL OR key_id = :key_id OR txn_type = 'refund' AND EXISTS (
            SELECT * FROM am_credit_transaction_log paid
            WHERE paid.txn_id = chain.related_txn_id AND paid.wallet_id = chain.wallet_id AND paid.key_id = :key_id))
        AND (CAST(:note AS TEXT) IS NULL OR note = :note OR txn_type = 'refund' AND EXISTS (
            SELECT * FROM am_credit_transaction_log paid
            WHERE paid.txn_id = chain.related_txn_id AND paid.wallet_id = chain.wallet_id AND paid.note = :note))
        AND (CAST(:item AS TEXT) IS NULL OR detail ->> 'item' = :item OR txn_type = 'refund' AND EXISTS (
            SELECT * FROM am_credit_transaction_log paid
            WHERE paid.txn_id = chain.related_txn_id AND paid.wallet_id = chain.wallet_id
              AND paid.detail ->> 'item' = :item))
    THEN 1 ELSE 0 END AS wanted
    FROM chain
)
SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, note, ledger_balance_yen, key_id, related_txn_id, hold_id,
       cause, CAST(detail AS TEXT),
       CASE WHEN txn_type = 'refund' THEN (
           SELECT paid.note FROM am_credit_transaction_log paid
           WHERE paid.txn_id = judged.related_txn_id AND paid.wallet_id = judged.wallet_id) END,
       CASE WHEN txn_type = 'refund' THEN (
           SELECT paid.detail ->> 'item' FROM am_credit_transaction_log paid
           WHERE paid.txn_id = judged.related_txn_id AND paid.wallet_id = judged.wallet_id) END,
       wanted, step
FROM judged
WHERE wanted = 1 OR step = :steps
LIMIT :limit;

-- next: the first entry of any wallet with at least this id
SELECT txn_id, occurred_at FROM am_credit_transaction_log WHERE txn_id >= :txn_id ORDER BY txn_id LIMIT 1;

-- of_wallet_between: the first entry of a wallet that is dated no earlier than :dated, among :limit of all wallets
SELECT txn_id
FROM (SELECT txn_id, wallet_id, occurred_at FROM am_credit_transaction_log
      WHERE txn_id > :after AND txn_id <= :last ORDER BY txn_id LIMIT :limit) AS passed
WHERE wallet_id = :wallet_id AND replace(occurred_at, ' ', 'T') >= :dated
ORDER BY txn_id
LIMIT 1;

-- known_of_wallet: the same among the entries of a wallet that are known otherwise: those that brought credit, and the
-- last ones of runs in a billing cycle
SELECT e.txn_id
FROM (SELECT lot_id AS txn_id FROM am_credit_lot WHERE wallet_id = :wallet_id AND lot_id > :after
      UNION ALL
      SELECT last_txn_id FROM am_credit_cycle_segment WHERE wallet_id = :wallet_id AND last_txn_id > :after) AS known
JOIN am_credit_transaction_log e ON e.txn_id = known.txn_id AND e.wallet_id = :wallet_id
WHERE replace(e.occurred_at, ' ', 'T') >= :dated
ORDER BY e.txn_id
LIMIT 1;
