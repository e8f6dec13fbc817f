-- Drops what 310 added, unless something has a name: an earlier release cannot read it.

CREATE TEMP TABLE nothing_may_be_named (
    named INTEGER CONSTRAINT "the ledger has entries, holds or purchases with names; keep 310"
        CHECK (named = 0)
);
INSERT INTO nothing_may_be_named
SELECT EXISTS (SELECT 1 FROM am_credit_entry_name)
    OR EXISTS (SELECT 1 FROM am_credit_transaction_log
               WHERE CASE WHEN prev_txn_id IS NOT NULL THEN detail ->> 'metadata' END IS NOT NULL)
    OR EXISTS (SELECT 1 FROM (SELECT usage FROM am_credit_hold UNION ALL SELECT usage FROM am_credit_purchase)
               WHERE coalesce(usage ->> 'request_id', usage ->> 'reference', usage ->> 'metadata',
                              usage ->> 'idempotency_key') IS NOT NULL);
DROP TABLE nothing_may_be_named;

DROP VIEW v_credit_transaction_exact;
CREATE VIEW v_credit_transaction_exact AS
SELECT txn_id, wallet_id, txn_type, occurred_at,
       CASE WHEN micros < 0 THEN '-' ELSE '' END || (abs(micros) / 1000000)
           || CASE WHEN micros % 1000000 = 0 THEN ''
                   ELSE '.' || rtrim(printf('%06d', abs(micros % 1000000)), '0') END AS amount,
       micros AS amount_micros, ledger_balance_yen * 1000000 + fraction AS ledger_balance_micros, item,
       (quantity / 1000000) || CASE WHEN quantity % 1000000 = 0 THEN ''
                                    ELSE '.' || rtrim(printf('%06d', quantity % 1000000), '0') END AS quantity,
       quantity AS quantity_micros, price_version, facts, agent_facts, key_id, related_txn_id, hold_id, cause, note
FROM (SELECT txn_id, wallet_id, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id, hold_id, cause, note,
             coalesce(detail ->> 'micros', amount_yen * 1000000) AS micros,
             coalesce(detail ->> 'fraction', 0) AS fraction,
             detail ->> 'item' AS item, detail ->> 'quantity' AS quantity, detail ->> 'price_version' AS price_version,
             detail -> 'facts' AS facts, detail -> 'agent_facts' AS agent_facts
      FROM (SELECT txn_id, wallet_id, amount_yen, txn_type, occurred_at, ledger_balance_yen, key_id, related_txn_id,
                   hold_id, cause, note, CASE WHEN prev_txn_id IS NOT NULL THEN detail END AS detail  -- the ledger's own
            FROM am_credit_transaction_log) AS known);

DROP TABLE am_credit_entry_name;
