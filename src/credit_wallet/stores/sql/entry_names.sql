-- Entries by what they are called.

-- named: entries by a name, those that come after entry :txn_id of wallet :wallet_id, in the order of wallets and entries
-- backwards, down to wallet :first. The key, the note and the item of the charge come with a refund. By an idempotency key also those
-- that have it nowhere but where keys are remembered: :key as it was sent and as :short, of whoever used it
WITH room (prefix) AS (
    SELECT '' UNION ALL SELECT CAST(:payer AS TEXT) UNION ALL SELECT CAST(:product AS TEXT)
    UNION ALL SELECT CAST(:seller AS TEXT) || CAST(seller_id AS TEXT) || CAST(:seller_end AS TEXT) FROM am_credit_seller
), form (used_key) AS (
    SELECT prefix || CAST(:key AS TEXT) FROM room WHERE CAST(:key AS TEXT) IS NOT NULL
    UNION
    SELECT prefix || CAST(:short AS TEXT) FROM room WHERE CAST(:short AS TEXT) IS NOT NULL
), found (wallet_id, txn_id) AS (
    SELECT wallet_id, txn_id
    FROM (SELECT wallet_id, txn_id FROM am_credit_entry_name
          WHERE named = :named AND name = :name AND wallet_id >= :first AND (wallet_id, txn_id) < (:wallet_id, :txn_id)
          ORDER BY wallet_id DESC, txn_id DESC
          LIMIT :limit) AS by_name
    UNION
    SELECT wallet_id, txn_id
    FROM (SELECT i.wallet_id, i.txn_id FROM form
          JOIN am_credit_idempotency i ON i.idempotency_key = form.used_key
          WHERE i.txn_id IS NOT NULL AND i.wallet_id >= :first AND (i.wallet_id, i.txn_id) < (:wallet_id, :txn_id)
          ORDER BY i.wallet_id DESC, i.txn_id DESC
          LIMIT :limit) AS remembered
)
SELECT e.txn_id, e.wallet_id, e.amount_yen, e.txn_type, e.occurred_at, e.note, e.ledger_balance_yen, e.key_id,
       e.related_txn_id, e.hold_id, e.cause, CAST(e.detail AS TEXT), paid.key_id, paid.note,
       paid.detail ->> 'item'
FROM found
JOIN am_credit_transaction_log e ON e.txn_id = found.txn_id AND e.wallet_id = found.wallet_id
LEFT JOIN am_credit_transaction_log paid
       ON e.txn_type = 'refund' AND paid.txn_id = e.related_txn_id AND paid.wallet_id = e.wallet_id
ORDER BY e.wallet_id DESC, e.txn_id DESC
LIMIT :limit;

-- names_by_wallet: how many names are kept of a wallet's entries
SELECT wallet_id, count(*) FROM am_credit_entry_name GROUP BY wallet_id;
