-- Drops what 297 added, unless something was priced: it names its version of the book, and versions would begin again at 1.

CREATE TEMP TABLE nothing_may_be_priced (
    priced INTEGER CONSTRAINT "the ledger has charges or holds that were priced by a version of the price book; keep 297"
        CHECK (priced = 0)
);
INSERT INTO nothing_may_be_priced
SELECT EXISTS (SELECT 1 FROM am_credit_transaction_log
               WHERE CASE WHEN prev_txn_id IS NOT NULL THEN detail ->> 'price_version' END IS NOT NULL)
    OR EXISTS (SELECT 1 FROM am_credit_hold WHERE usage ->> 'price_version' IS NOT NULL)
    OR EXISTS (SELECT 1 FROM am_credit_purchase WHERE usage ->> 'price_version' IS NOT NULL);
DROP TABLE nothing_may_be_priced;

DROP TABLE am_credit_tier_usage;
DROP TABLE am_credit_price;
DROP TABLE am_credit_price_version;
ALTER TABLE am_credit_wallet DROP COLUMN price_group;
