-- Drops what 300 added, unless credit has moved between wallets: only its rows say what is on its way, and what has arrived.

CREATE TEMP TABLE nothing_may_be_transferred (
    transferred INTEGER CONSTRAINT "the ledger has transfers between wallets; keep 300" CHECK (transferred = 0)
);
INSERT INTO nothing_may_be_transferred SELECT EXISTS (SELECT 1 FROM am_credit_transfer);
DROP TABLE nothing_may_be_transferred;

DROP TABLE am_credit_transfer;
