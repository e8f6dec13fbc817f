-- The chain of entries, and what came back of some. Every statement returns who breaks an invariant: wallet_id, what
-- should be, what is; one that proves several, listed below its heading, returns the name of the broken one before these.

-- conservation: opening balance and entries together are the balance and what is held
SELECT w.wallet_id, w.opening_yen + coalesce(e.total_yen, 0) AS expected_yen, w.balance_yen + w.held_yen AS found_yen
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, sum(amount_yen) AS total_yen FROM am_credit_transaction_log GROUP BY wallet_id) e
       ON e.wallet_id = w.wallet_id
WHERE w.opening_yen + coalesce(e.total_yen, 0) <> w.balance_yen + w.held_yen;

-- entries: each entry beside its wallet and the entry before it
--   ownership: every entry belongs to a wallet
--   chain: an entry follows one of its own wallet and carries that one's balance plus its own amount
--   chain_start: the first entry carries the opening balance plus its own amount
--   chain_length: the chain has all of the wallet's entries, so its end is named by none of them
SELECT CASE WHEN w.wallet_id IS NULL THEN 'ownership'
            WHEN e.prev_txn_id = 0 AND w.opening_yen + e.amount_yen IS DISTINCT FROM e.ledger_balance_yen THEN 'chain_start'
            WHEN e.prev_txn_id = w.last_txn_id AND p.wallet_id = e.wallet_id
                 AND p.ledger_balance_yen + e.amount_yen = e.ledger_balance_yen THEN 'chain_length'
            ELSE 'chain' END,
       e.wallet_id, coalesce(p.ledger_balance_yen, w.opening_yen, 0) + e.amount_yen, e.ledger_balance_yen
FROM am_credit_transaction_log e
LEFT JOIN am_credit_wallet w ON w.wallet_id = e.wallet_id
LEFT JOIN am_credit_transaction_log p ON p.txn_id = e.prev_txn_id
WHERE w.wallet_id IS NULL
   OR CASE WHEN e.prev_txn_id > 0
           THEN p.wallet_id IS DISTINCT FROM e.wallet_id OR e.prev_txn_id = w.last_txn_id
                OR p.ledger_balance_yen + e.amount_yen IS DISTINCT FROM e.ledger_balance_yen
           ELSE w.opening_yen + e.amount_yen IS DISTINCT FROM e.ledger_balance_yen END;

-- chain_order: no two entries follow the same one
SELECT min(wallet_id), 1, count(*)
FROM am_credit_transaction_log
WHERE prev_txn_id > 0
GROUP BY prev_txn_id
HAVING count(*) > 1
UNION ALL
SELECT wallet_id, 1, count(*)
FROM am_credit_transaction_log
WHERE prev_txn_id = 0
GROUP BY wallet_id
HAVING count(*) > 1;

-- chain_end: the wallet's row names the end of its chain, and the balance there is its own
SELECT w.wallet_id, w.balance_yen + w.held_yen, coalesce(e.ledger_balance_yen, w.opening_yen)
FROM am_credit_wallet w
LEFT JOIN am_credit_transaction_log e ON e.txn_id = w.last_txn_id AND e.wallet_id = w.wallet_id
WHERE coalesce(e.ledger_balance_yen, w.opening_yen) <> w.balance_yen + w.held_yen
   OR (w.last_txn_id > 0 AND e.txn_id IS NULL);

-- came_back: what entries gave back of charges and took back of top-ups, beside what is on record of it
--   refunds: what was refunded of a charge is on record, and is not more than the charge
--   reversals: what was taken back of a top-up, or is owed for it, is on record
WITH related (wallet_id, txn_id, refunded_yen, taken_yen) AS MATERIALIZED (
    SELECT wallet_id, related_txn_id, sum(CASE txn_type WHEN 'refund' THEN amount_yen ELSE 0 END),
           sum(CASE txn_type WHEN 'refund' THEN 0 ELSE -amount_yen END)
    FROM am_credit_transaction_log
    WHERE related_txn_id IS NOT NULL
    GROUP BY wallet_id, related_txn_id
), clawback (wallet_id, txn_id, owed_yen, taken_yen) AS MATERIALIZED (
    SELECT c.wallet_id, c.credit_txn_id, c.owed_yen, coalesce(sum(CAST(part.value ->> 1 AS BIGINT)), 0)
    FROM am_credit_clawback c LEFT JOIN json_each(c.taken) part ON TRUE
    WHERE c.credit_txn_id > 0
    GROUP BY c.wallet_id, c.credit_txn_id, c.owed_yen
), reversed (wallet_id, txn_id, reversed_yen) AS MATERIALIZED (
    SELECT wallet_id, credit_txn_id, sum(reversed_yen) FROM am_credit_topup
    WHERE credit_txn_id IS NOT NULL AND reversed_yen <> 0
    GROUP BY wallet_id, credit_txn_id
), named (wallet_id, txn_id) AS (
    SELECT wallet_id, txn_id FROM related UNION SELECT wallet_id, txn_id FROM am_credit_returned
    UNION SELECT wallet_id, txn_id FROM clawback UNION SELECT wallet_id, txn_id FROM reversed
)
SELECT CASE e.txn_type WHEN 'topup' THEN 'reversals' ELSE 'refunds' END, n.wallet_id,
       CASE e.txn_type WHEN 'topup' THEN coalesce(c.taken_yen, 0) + coalesce(c.owed_yen, 0) ELSE coalesce(r.refunded_yen, 0) END,
       coalesce(b.returned_yen, 0) + coalesce(t.reversed_yen, 0)
FROM named n
LEFT JOIN am_credit_transaction_log e ON e.txn_id = n.txn_id AND e.wallet_id = n.wallet_id
LEFT JOIN related r ON r.wallet_id = n.wallet_id AND r.txn_id = n.txn_id
LEFT JOIN clawback c ON c.wallet_id = n.wallet_id AND c.txn_id = n.txn_id
LEFT JOIN reversed t ON t.wallet_id = n.wallet_id AND t.txn_id = n.txn_id
LEFT JOIN am_credit_returned b ON b.wallet_id = n.wallet_id AND b.txn_id = n.txn_id
WHERE CASE e.txn_type
      WHEN 'charge' THEN coalesce(r.refunded_yen, 0) <> coalesce(b.returned_yen, 0) OR r.refunded_yen > -e.amount_yen
                         OR r.taken_yen <> 0 OR c.txn_id IS NOT NULL
      WHEN 'topup' THEN
           CASE WHEN e.txn_id <= (SELECT last_txn_id FROM am_credit_counted WHERE counted = 'books')
                -- from before there was a register of clawbacks, which could not tell what all of its debt was for
                THEN coalesce(c.taken_yen, 0) + coalesce(c.owed_yen, 0) > coalesce(b.returned_yen, 0) + coalesce(t.reversed_yen, 0)
                ELSE coalesce(c.taken_yen, 0) + coalesce(c.owed_yen, 0) <> coalesce(b.returned_yen, 0) + coalesce(t.reversed_yen, 0)
                     OR coalesce(r.taken_yen, 0) <> coalesce(c.taken_yen, 0) END
           OR r.refunded_yen <> 0
      ELSE TRUE END;

-- causes: an entry names a cause that its type can have, and paying back only when its note says so
SELECT e.wallet_id, e.txn_id, 0
FROM am_credit_transaction_log e
LEFT JOIN am_credit_topup t ON t.credit_txn_id = e.related_txn_id AND t.wallet_id = e.wallet_id
WHERE e.cause IS NOT NULL
  AND (CASE e.txn_type WHEN 'topup' THEN e.cause NOT IN ('payment', 'grant', 'reinstatement', 'pay_back_failed')
                       WHEN 'reversal' THEN e.cause NOT IN ('clawback', 'pay_back', 'debt_repayment')
                       ELSE TRUE END
       OR (e.cause = 'pay_back') <> (e.txn_type = 'reversal' AND t.topup_id IS NOT NULL
                                     AND t.takings LIKE '%"pb!_%' ESCAPE '!'  -- else they are an operator's words
                                     AND coalesce(e.note, '') = 'paid back of top-up ' || t.topup_id)
       OR (e.cause = 'pay_back_failed') <> (e.txn_type = 'topup' AND t.topup_id IS NOT NULL
                                            AND coalesce(e.note, '') = 'not paid back of top-up ' || t.topup_id));

-- debt: only an empty wallet owes
SELECT wallet_id, 0, balance_yen FROM am_credit_wallet WHERE debt_yen > 0 AND balance_yen > 0;

-- clawbacks: what is owed for top-ups, and for what was served without credit, is the debt of the wallet
SELECT w.wallet_id, w.debt_yen, coalesce(c.owed_yen, 0)
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, sum(owed_yen) AS owed_yen FROM am_credit_clawback GROUP BY wallet_id) c
       ON c.wallet_id = w.wallet_id
WHERE coalesce(c.owed_yen, 0) <> w.debt_yen;

-- answers: an idempotency key answers with the entry that its movement made, which no other does, its amount, and no more than was left
SELECT i.wallet_id, coalesce(abs(e.amount_yen), h.amount_yen, 0), i.amount_yen
FROM am_credit_idempotency i
LEFT JOIN am_credit_transaction_log e ON e.txn_id = i.txn_id AND e.wallet_id = i.wallet_id
LEFT JOIN am_credit_hold h ON h.hold_id = i.hold_id AND h.wallet_id = i.wallet_id
WHERE CASE WHEN i.txn_id IS NULL THEN i.amount_yen > h.amount_yen
           ELSE abs(e.amount_yen) IS DISTINCT FROM i.amount_yen OR e.hold_id IS DISTINCT FROM i.hold_id
                OR i.balance_yen > e.ledger_balance_yen END
   OR i.balance_yen < 0
UNION ALL
SELECT min(wallet_id), 1, count(*)
FROM (SELECT wallet_id, txn_id FROM am_credit_idempotency WHERE txn_id IS NOT NULL
      UNION ALL
      SELECT wallet_id, txn_id FROM am_credit_purchase WHERE txn_id IS NOT NULL) AS named
GROUP BY txn_id
HAVING count(*) > 1;
