-- Segments of billing cycles, and what is made from the ledger once: see segments.py.

-- put_segment: record a run of entries that has ended, unless it has no entries and ends where the one before did
INSERT INTO am_credit_cycle_segment (wallet_id, segment_no, last_txn_id, billing_cycle, closing_yen, closing_fraction)
SELECT CAST(:wallet_id AS BIGINT),
       coalesce((SELECT max(segment_no) FROM am_credit_cycle_segment WHERE wallet_id = :wallet_id), 0) + 1,
       CAST(:last_txn_id AS BIGINT), :billing_cycle, CAST(:closing_yen AS BIGINT), CAST(:closing_fraction AS INTEGER)
WHERE CAST(:last_txn_id AS BIGINT) <>
      coalesce((SELECT last_txn_id FROM am_credit_cycle_segment WHERE wallet_id = :wallet_id
                ORDER BY segment_no DESC LIMIT 1), 0);

-- are_made: whether the books of entries from before 289 have been made
SELECT 1 FROM am_credit_counted WHERE counted = 'books';

-- note_made: record that they have
INSERT INTO am_credit_counted (counted, last_txn_id)
SELECT 'books', coalesce(max(txn_id), 0) FROM am_credit_transaction_log WHERE 1 = 1
ON CONFLICT (counted) DO NOTHING;

-- wallets: the next wallets with a chain
SELECT wallet_id FROM am_credit_wallet
WHERE wallet_id > :after AND last_txn_id > 0
ORDER BY wallet_id
LIMIT :limit;

-- lock_wallet: keep everybody else from a wallet until the transaction ends
UPDATE am_credit_wallet SET updated_at = updated_at WHERE wallet_id = :wallet_id
RETURNING last_txn_id, current_cycle, time_zone, debt_yen, open_lots, next_due_at;

-- note_due: record when the first lot or hold of a wallet expires
UPDATE am_credit_wallet SET next_due_at = :at WHERE wallet_id = :wallet_id;

-- delete_segments: delete the segments of a wallet, to make them again
DELETE FROM am_credit_cycle_segment WHERE wallet_id = :wallet_id;

-- chain: a wallet's entries from :start back along its chain, :steps of them; lots of entries that took back or reinstated credit
WITH RECURSIVE chain AS (
    SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, prev_txn_id, ledger_balance_yen, lots, related_txn_id,
           detail, 1 AS step
    FROM am_credit_transaction_log WHERE txn_id = :start AND wallet_id = :wallet_id
    UNION ALL
    SELECT e.txn_id, e.wallet_id, e.amount_yen, e.txn_type, e.occurred_at, e.prev_txn_id, e.ledger_balance_yen, e.lots,
           e.related_txn_id, e.detail, c.step + 1
    FROM chain c JOIN am_credit_transaction_log e ON e.txn_id = c.prev_txn_id AND e.wallet_id = c.wallet_id
    WHERE c.step < :steps
)
SELECT txn_id, prev_txn_id, occurred_at, ledger_balance_yen, amount_yen, txn_type, related_txn_id,
       CASE WHEN txn_type = 'reversal' OR (txn_type = 'topup' AND related_txn_id IS NOT NULL) THEN lots END,
       CAST(detail AS TEXT)
FROM chain;

-- chain_end: where a wallet's chain ends, and what its open segment is of
SELECT last_txn_id, current_cycle, time_zone FROM am_credit_wallet WHERE wallet_id = :wallet_id;

-- segments: the closed segments of a wallet in the order of its chain
SELECT last_txn_id, billing_cycle, closing_yen, closing_fraction FROM am_credit_cycle_segment
WHERE wallet_id = :wallet_id
ORDER BY segment_no;

-- taken_back: whole yen that were taken back of a wallet's top-ups, or are owed, by the entries that credited them; of a
-- ledger from before 289
SELECT credit_txn_id, sum(taken_yen)
FROM (SELECT credit_txn_id, reversed_yen AS taken_yen FROM am_credit_topup
      WHERE wallet_id = :wallet_id AND credit_txn_id IS NOT NULL AND reversed_yen > 0
      UNION ALL
      SELECT r.txn_id, r.returned_yen
      FROM am_credit_returned r JOIN am_credit_transaction_log e ON e.txn_id = r.txn_id AND e.wallet_id = r.wallet_id
      WHERE r.wallet_id = :wallet_id AND e.txn_type = 'topup') AS takings
GROUP BY credit_txn_id
ORDER BY credit_txn_id;

-- owing: the top-ups that a wallet owes for, and what was taken back of them
SELECT wallet_id, credit_txn_id, taken, owed_yen, owed_fraction FROM am_credit_clawback
WHERE wallet_id = :wallet_id AND (owed_yen > 0 OR owed_fraction > 0);

-- clawback: what was taken back of one top-up
SELECT wallet_id, credit_txn_id, taken, owed_yen, owed_fraction FROM am_credit_clawback
WHERE wallet_id = :wallet_id AND credit_txn_id = :credit_txn_id;

-- put_clawback: write what was taken of a top-up and what is owed
INSERT INTO am_credit_clawback (wallet_id, credit_txn_id, taken, owed_yen, owed_fraction)
VALUES (:wallet_id, :credit_txn_id, :taken, :owed_yen, :owed_fraction)
ON CONFLICT (wallet_id, credit_txn_id)
DO UPDATE SET taken = excluded.taken, owed_yen = excluded.owed_yen, owed_fraction = excluded.owed_fraction;

-- delete_clawbacks: delete the clawbacks of a wallet, to make them again
DELETE FROM am_credit_clawback WHERE wallet_id = :wallet_id;
