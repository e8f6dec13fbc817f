-- Drops what 297 added, unless something was priced: it names its version of the book, and versions would begin again at 1.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_transaction_log
               WHERE CASE WHEN prev_txn_id IS NOT NULL THEN detail ->> 'price_version' END IS NOT NULL)
       OR EXISTS (SELECT FROM am_credit_hold WHERE usage ->> 'price_version' IS NOT NULL)
       OR EXISTS (SELECT FROM am_credit_purchase WHERE usage ->> 'price_version' IS NOT NULL)
    THEN
        RAISE EXCEPTION 'the ledger has charges or holds that were priced by a version of the price book; keep 297'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP TABLE am_credit_tier_usage;
DROP TABLE am_credit_price;
DROP TABLE am_credit_price_version;
DROP FUNCTION am_credit_price_append_only();
ALTER TABLE am_credit_wallet DROP COLUMN price_group;
