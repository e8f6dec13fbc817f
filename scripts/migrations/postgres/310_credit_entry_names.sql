-- 310: names of entries — by which request, for which thing of the host's and under which idempotency key a movement was
-- asked for. They stand in an entry's detail, and here to be found. Entries that nobody named have no row.

CREATE TABLE am_credit_entry_name (
    named     TEXT   COLLATE "C" NOT NULL CHECK (named IN ('request_id', 'reference', 'idempotency_key')),
    name      TEXT   COLLATE "C" NOT NULL,
    wallet_id BIGINT NOT NULL,
    txn_id    BIGINT NOT NULL,
    PRIMARY KEY (named, name, wallet_id, txn_id)
);

CREATE OR REPLACE VIEW v_credit_transaction_exact AS
SELECT txn_id, wallet_id, txn_type, occurred_at, CAST(trim_scale(micros * 0.000001) AS text) AS amount,
       micros AS amount_micros, ledger_balance_yen * 1000000::numeric + fraction AS ledger_balance_micros, item,
       CAST(trim_scale(quantity * 0.000001) AS text) AS quantity, quantity AS quantity_micros, price_version, facts,
       agent_facts, key_id, related_txn_id, hold_id, cause, note, request_id, reference, metadata, idempotency_key
FROM (SELECT txn_id, wallet_id, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id, hold_id, cause, note,
             coalesce(CAST(detail ->> 'micros' AS numeric), amount_yen * 1000000::numeric) AS micros,
             coalesce(CAST(detail ->> 'fraction' AS integer), 0) AS fraction,
             detail ->> 'item' AS item, CAST(detail ->> 'quantity' AS numeric) AS quantity,
             CAST(detail ->> 'price_version' AS bigint) AS price_version,
             detail -> 'facts' AS facts, detail -> 'agent_facts' AS agent_facts, detail ->> 'request_id' AS request_id,
             detail ->> 'reference' AS reference, detail -> 'metadata' AS metadata,
             detail ->> 'idempotency_key' AS idempotency_key
      FROM (SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id,
                   hold_id, cause, note, CASE WHEN prev_txn_id IS NOT NULL THEN detail END AS detail  -- the ledger's own
            FROM am_credit_transaction_log) AS known) AS entry;
