-- Drops what 308 added, unless a host has given references or metadata: nothing else says which customer a wallet belongs to.

CREATE TEMP TABLE nothing_may_be_named (
    named INTEGER CONSTRAINT "the ledger has references or metadata of the host's; keep 308" CHECK (named = 0)
);
INSERT INTO nothing_may_be_named
SELECT EXISTS (SELECT 1 FROM am_credit_profile WHERE reference <> '' OR metadata <> '{}');
DROP TABLE nothing_may_be_named;

DROP INDEX idx_am_credit_topup_failed;
DROP INDEX idx_am_credit_wallet_low;
DROP INDEX idx_am_credit_wallet_exhausted;
DROP INDEX idx_am_credit_wallet_in_debt;
DROP INDEX idx_am_credit_wallet_disabled;
DROP TABLE am_credit_search_term;
DROP TABLE am_credit_profile;
DROP TABLE am_credit_reference;
DELETE FROM am_credit_counted WHERE counted = 'searchable';
