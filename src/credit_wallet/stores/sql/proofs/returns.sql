-- What came back of charges and was taken back of top-ups, what is owed, and what callers were answered.

-- came_back: what entries gave back of charges and took back of top-ups, beside what is on record of it
--   refunds: what was refunded of a charge is on record, and is not more than the charge
--   reversals: what was taken back of a top-up, or is owed for it, is on record
WITH related (wallet_id, txn_id, refunded, taken) AS MATERIALIZED (
    SELECT e.wallet_id, e.related_txn_id,
           exact(sum(CASE e.txn_type WHEN 'refund' THEN e.amount_yen ELSE 0 END),
                 sum(CASE e.txn_type WHEN 'refund' THEN beyond(e) ELSE 0 END)),
           exact(sum(CASE e.txn_type WHEN 'refund' THEN 0 ELSE -e.amount_yen END),
                 sum(CASE e.txn_type WHEN 'refund' THEN 0 ELSE -(beyond(e)) END))
    FROM am_credit_transaction_log e
    WHERE e.related_txn_id IS NOT NULL
    GROUP BY e.wallet_id, e.related_txn_id
), returned (wallet_id, txn_id, returned) AS (
    SELECT wallet_id, txn_id, exact(returned_yen, returned_fraction) FROM am_credit_returned
), clawback (wallet_id, txn_id, claimed, taken) AS MATERIALIZED (
    SELECT wallet_id, txn_id, owed + taken, taken
    FROM (SELECT c.wallet_id, c.credit_txn_id AS txn_id, exact(c.owed_yen, c.owed_fraction) AS owed,
                 exact(coalesce(sum(CAST(part.value ->> 1 AS BIGINT)), 0), coalesce(sum(micros(part)), 0))
                 AS taken
          FROM am_credit_clawback c LEFT JOIN json_each(c.taken) part ON TRUE
          WHERE c.credit_txn_id > 0
          GROUP BY c.wallet_id, c.credit_txn_id, c.owed_yen, c.owed_fraction) AS of_topup
), reversed (wallet_id, txn_id, reversed) AS MATERIALIZED (
    SELECT wallet_id, credit_txn_id, exact(sum(reversed_yen), 0) FROM am_credit_topup
    WHERE credit_txn_id IS NOT NULL AND reversed_yen <> 0
    GROUP BY wallet_id, credit_txn_id
), named (wallet_id, txn_id) AS (
    SELECT wallet_id, txn_id FROM related UNION SELECT wallet_id, txn_id FROM am_credit_returned
    UNION SELECT wallet_id, txn_id FROM clawback UNION SELECT wallet_id, txn_id FROM reversed
)
SELECT CASE e.txn_type WHEN 'topup' THEN 'reversals' ELSE 'refunds' END, n.wallet_id,
       CASE e.txn_type WHEN 'topup' THEN coalesce(c.claimed, 0) ELSE coalesce(r.refunded, 0) END,
       coalesce(b.returned, 0) + coalesce(t.reversed, 0), 'yen'
FROM named n
LEFT JOIN am_credit_transaction_log e ON e.txn_id = n.txn_id AND e.wallet_id = n.wallet_id
LEFT JOIN related r ON r.wallet_id = n.wallet_id AND r.txn_id = n.txn_id
LEFT JOIN clawback c ON c.wallet_id = n.wallet_id AND c.txn_id = n.txn_id
LEFT JOIN reversed t ON t.wallet_id = n.wallet_id AND t.txn_id = n.txn_id
LEFT JOIN returned b ON b.wallet_id = n.wallet_id AND b.txn_id = n.txn_id
WHERE CASE e.txn_type
      WHEN 'charge' THEN coalesce(r.refunded, 0) <> coalesce(b.returned, 0) OR r.refunded > -exact(e.amount_yen, beyond(e))
                         OR r.taken <> 0 OR c.txn_id IS NOT NULL
      WHEN 'topup' THEN
           CASE WHEN e.txn_id <= (SELECT last_txn_id FROM am_credit_counted WHERE counted = 'books')
                -- from before there was a register of clawbacks, which could not tell what all of its debt was for
                THEN coalesce(c.claimed, 0) > coalesce(b.returned, 0) + coalesce(t.reversed, 0)
                ELSE coalesce(c.claimed, 0) <> coalesce(b.returned, 0) + coalesce(t.reversed, 0)
                     OR coalesce(r.taken, 0) <> coalesce(c.taken, 0) END
           OR r.refunded <> 0
      WHEN 'reversal' THEN  -- what was returned of a transfer, which is all of it: see transfers
           e.cause IS DISTINCT FROM 'transfer_out' OR r.refunded <> 0 OR r.taken <> exact(e.amount_yen, beyond(e))
           OR c.txn_id IS NOT NULL OR b.txn_id IS NOT NULL
      ELSE TRUE END;

-- causes: an entry names a cause that its type can have, an adjustment alone its reason, and paying back only when its note
-- says so
SELECT e.wallet_id, e.txn_id, 0
FROM am_credit_transaction_log e
LEFT JOIN am_credit_topup t ON t.credit_txn_id = e.related_txn_id AND t.wallet_id = e.wallet_id
WHERE e.cause IS NOT NULL
  AND (CASE e.txn_type WHEN 'topup' THEN e.cause NOT IN ('payment', 'grant', 'reinstatement', 'pay_back_failed',
                                                                     'transfer_in', 'transfer_returned', 'adjustment')
                       WHEN 'reversal' THEN e.cause NOT IN ('clawback', 'pay_back', 'debt_repayment', 'transfer_out',
                                                            'adjustment')
                       ELSE TRUE END
       OR (e.cause = 'adjustment') <> (coalesce(e.detail ->> 'reason', '') <> '')
       OR (e.cause = 'pay_back') <> (e.txn_type = 'reversal' AND t.topup_id IS NOT NULL
                                     AND t.takings LIKE '%"pb!_%' ESCAPE '!'  -- else they are an operator's words
                                     AND coalesce(e.note, '') = 'paid back of top-up ' || t.topup_id)
       OR (e.cause = 'pay_back_failed') <> (e.txn_type = 'topup' AND t.topup_id IS NOT NULL
                                            AND coalesce(e.note, '') = 'not paid back of top-up ' || t.topup_id));

-- debt: only an empty wallet owes
SELECT wallet_id, 0, exact(balance_yen, balance_fraction), 'yen'
FROM am_credit_wallet
WHERE (debt_yen > 0 OR debt_fraction > 0) AND (balance_yen > 0 OR balance_fraction > 0);

-- clawbacks: what is owed for top-ups, and for what was served without credit, is the debt of the wallet
SELECT w.wallet_id, exact(w.debt_yen, w.debt_fraction), coalesce(c.owed, 0), 'yen'
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, exact(sum(owed_yen), sum(owed_fraction)) AS owed FROM am_credit_clawback GROUP BY wallet_id) c
       ON c.wallet_id = w.wallet_id
WHERE coalesce(c.owed, 0) <> exact(w.debt_yen, w.debt_fraction);

-- answers: an idempotency key answers with the entry that its movement made, which no other does, its amount, and no more than was left
SELECT i.wallet_id, abs(exact(coalesce(e.amount_yen, h.amount_yen, 0),
                               CASE WHEN e.txn_id IS NULL THEN coalesce(h.amount_fraction, 0) ELSE beyond(e) END)),
       exact(i.amount_yen, coalesce(CAST(member(i.detail, amount_fraction) AS BIGINT), 0)), 'yen'
FROM am_credit_idempotency i
LEFT JOIN am_credit_transaction_log e ON e.txn_id = i.txn_id AND e.wallet_id = i.wallet_id
LEFT JOIN am_credit_hold h ON h.hold_id = i.hold_id AND h.wallet_id = i.wallet_id
WHERE CASE WHEN i.txn_id IS NULL
           THEN i.amount_yen > h.amount_yen
                OR i.amount_yen = h.amount_yen AND h.amount_fraction < CAST(member(i.detail, amount_fraction) AS BIGINT)
           WHEN i.detail IS NULL AND e.detail IS NULL  -- nearly all of them
           THEN abs(e.amount_yen) IS DISTINCT FROM abs(i.amount_yen) OR e.hold_id IS DISTINCT FROM i.hold_id
                OR i.balance_yen > e.ledger_balance_yen
           ELSE abs(exact(e.amount_yen, beyond(e)))
                IS DISTINCT FROM abs(exact(i.amount_yen, coalesce(CAST(member(i.detail, amount_fraction) AS BIGINT), 0)))
                OR e.hold_id IS DISTINCT FROM i.hold_id
                OR exact(i.balance_yen, coalesce(CAST(member(i.detail, balance_fraction) AS BIGINT), 0))
                   > exact(e.ledger_balance_yen, fraction(e)) END
   OR i.balance_yen < 0
UNION ALL
SELECT min(wallet_id), 1, count(*), ''
FROM (SELECT wallet_id, txn_id FROM am_credit_idempotency WHERE txn_id IS NOT NULL
      UNION ALL
      SELECT wallet_id, txn_id FROM am_credit_purchase WHERE txn_id IS NOT NULL) AS named
GROUP BY txn_id
HAVING count(*) > 1;
