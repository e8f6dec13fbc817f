-- Drops what 310 added, unless something has a name: an earlier release cannot read it.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_entry_name)
        OR EXISTS (SELECT FROM am_credit_transaction_log
                   WHERE CASE WHEN prev_txn_id IS NOT NULL THEN detail ->> 'metadata' END IS NOT NULL)
        OR EXISTS (SELECT FROM (SELECT usage FROM am_credit_hold UNION ALL SELECT usage FROM am_credit_purchase) AS given
                   WHERE coalesce(usage ->> 'request_id', usage ->> 'reference', usage ->> 'metadata',
                                  usage ->> 'idempotency_key') IS NOT NULL) THEN
        RAISE EXCEPTION 'the ledger has entries, holds or purchases with names; keep 310'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP VIEW v_credit_transaction_exact;
CREATE VIEW v_credit_transaction_exact AS
SELECT txn_id, wallet_id, txn_type, occurred_at, CAST(trim_scale(micros * 0.000001) AS text) AS amount,
       micros AS amount_micros, ledger_balance_yen * 1000000::numeric + fraction AS ledger_balance_micros, item,
       CAST(trim_scale(quantity * 0.000001) AS text) AS quantity, quantity AS quantity_micros, price_version, facts,
       agent_facts, key_id, related_txn_id, hold_id, cause, note
FROM (SELECT txn_id, wallet_id, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id, hold_id, cause, note,
             coalesce(CAST(detail ->> 'micros' AS numeric), amount_yen * 1000000::numeric) AS micros,
             coalesce(CAST(detail ->> 'fraction' AS integer), 0) AS fraction,
             detail ->> 'item' AS item, CAST(detail ->> 'quantity' AS numeric) AS quantity,
             CAST(detail ->> 'price_version' AS bigint) AS price_version,
             detail -> 'facts' AS facts, detail -> 'agent_facts' AS agent_facts
      FROM (SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id,
                   hold_id, cause, note, CASE WHEN prev_txn_id IS NOT NULL THEN detail END AS detail  -- the ledger's own
            FROM am_credit_transaction_log) AS known) AS entry;

DROP TABLE am_credit_entry_name;
