-- The chain of entries. Every statement returns who breaks an invariant: wallet_id, what should be, what is, and 'yen' when
-- these are amounts in micros; one that proves several, listed below its heading, returns the name of the broken one before.
-- exact(), beyond(), fraction(), member() and json_each() are explained in jobs/proofs/wording.py.

-- conservation: opening balance and entries together are the balance and what is held
-- In whole yen, as plain SQL adds them up, and to the micro.
SELECT w.wallet_id, exact(w.opening_yen + coalesce(e.total_yen, 0), coalesce(e.beyond, 0)),
       exact(w.balance_yen + w.held_yen, w.ledger_fraction), 'yen'
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, sum(amount_yen) AS total_yen, sum(beyond(x)) AS beyond
           FROM am_credit_transaction_log x GROUP BY wallet_id) e
       ON e.wallet_id = w.wallet_id
WHERE w.opening_yen + coalesce(e.total_yen, 0) <> w.balance_yen + w.held_yen OR coalesce(e.beyond, 0) <> w.ledger_fraction;

-- entries: each entry beside its wallet and the entry before it
--   ownership: every entry belongs to a wallet
--   chain: an entry follows one of its own wallet and carries that one's balance plus its own amount
--   chain_start: the first entry carries the opening balance plus its own amount
--   chain_length: the chain has all of the wallet's entries, so its end is named by none of them
SELECT CASE WHEN w.wallet_id IS NULL THEN 'ownership'
            WHEN e.prev_txn_id = 0 AND (w.opening_yen + e.amount_yen IS DISTINCT FROM e.ledger_balance_yen
                                        OR beyond(e) <> fraction(e)) THEN 'chain_start'
            WHEN e.prev_txn_id = w.last_txn_id AND p.wallet_id = e.wallet_id
                 AND p.ledger_balance_yen + e.amount_yen = e.ledger_balance_yen
                 AND fraction(p) + beyond(e) = fraction(e) THEN 'chain_length'
            ELSE 'chain' END,
       e.wallet_id, exact(coalesce(p.ledger_balance_yen, w.opening_yen, 0) + e.amount_yen, fraction(p) + beyond(e)),
       exact(e.ledger_balance_yen, fraction(e)), 'yen'
FROM am_credit_transaction_log e
LEFT JOIN am_credit_wallet w ON w.wallet_id = e.wallet_id
LEFT JOIN am_credit_transaction_log p ON p.txn_id = e.prev_txn_id
WHERE w.wallet_id IS NULL
   OR CASE WHEN e.prev_txn_id > 0
           THEN p.wallet_id IS DISTINCT FROM e.wallet_id OR e.prev_txn_id = w.last_txn_id
                OR p.ledger_balance_yen + e.amount_yen IS DISTINCT FROM e.ledger_balance_yen
           ELSE w.opening_yen + e.amount_yen IS DISTINCT FROM e.ledger_balance_yen END
   OR fraction(p) + beyond(e) <> fraction(e);

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
SELECT w.wallet_id, exact(w.balance_yen + w.held_yen, w.ledger_fraction),
       exact(coalesce(e.ledger_balance_yen, w.opening_yen), fraction(e)), 'yen'
FROM am_credit_wallet w
LEFT JOIN am_credit_transaction_log e ON e.txn_id = w.last_txn_id AND e.wallet_id = w.wallet_id
WHERE coalesce(e.ledger_balance_yen, w.opening_yen) <> w.balance_yen + w.held_yen OR fraction(e) <> w.ledger_fraction
   OR (w.last_txn_id > 0 AND e.txn_id IS NULL);

-- fractions: what an amount has beyond its whole yen is less than a yen
SELECT wallet_id, 1, 0 FROM am_credit_wallet
WHERE balance_fraction NOT BETWEEN 0 AND 999999 OR ledger_fraction NOT BETWEEN 0 AND 999999
   OR debt_fraction NOT BETWEEN 0 AND 999999 OR cycle_spent_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_key
WHERE cycle_spent_fraction NOT BETWEEN 0 AND 999999 OR held_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_hold
WHERE amount_fraction NOT BETWEEN 0 AND 999999 OR captured_fraction NOT BETWEEN 0 AND 999999
   OR above_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_lot WHERE granted_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_returned WHERE returned_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_clawback WHERE owed_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_purchase WHERE amount_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_cycle_spend WHERE spent_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_cycle_segment WHERE closing_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_hour_spend WHERE spent_fraction NOT BETWEEN 0 AND 999999
UNION ALL
SELECT wallet_id, 1, 0 FROM am_credit_transfer
WHERE amount_fraction NOT BETWEEN 0 AND 999999 OR balance_fraction NOT BETWEEN 0 AND 999999;
