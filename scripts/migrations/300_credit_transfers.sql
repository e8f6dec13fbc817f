-- 300: credit that moves between wallets of one owner, as out of the one and in to the other.
--
-- No transaction spans two wallets: the side of each has a row of its own, with the entries that moved the credit. What is
-- out and neither done nor returned is on its way, and a background job finishes it. Rows are kept as long as the ledger:
-- they are why nothing comes in twice, or both comes in and returns.

CREATE TABLE am_credit_transfer (
    wallet_id        INTEGER NOT NULL,
    transfer_id      TEXT    NOT NULL,             -- 'tr_', the wallet that it leaves, '_' and what its idempotency key makes
    direction        TEXT    NOT NULL CHECK (direction IN ('out', 'in')),
    other_wallet_id  INTEGER NOT NULL,             -- where it goes to, or comes from
    status           TEXT    NOT NULL,
    amount_yen       INTEGER NOT NULL,             -- the micros beyond whole yen stand apart
    amount_fraction  INTEGER NOT NULL CHECK (amount_fraction BETWEEN 0 AND 999999),
    balance_yen      INTEGER NOT NULL,             -- of the wallet, right after it
    balance_fraction INTEGER NOT NULL CHECK (balance_fraction BETWEEN 0 AND 999999),
    lots             TEXT    NOT NULL,             -- [[id, kind, expires_at, yen, micros], …]; id: out, the lot; in, the entry
    txn_id           INTEGER,                      -- the entry that took it out, or the last one that brought it in
    returned_txn_id  INTEGER,                      -- the entry that returned it
    note             TEXT,
    reason           TEXT,                         -- why it was refused, or returned
    created_at       TEXT    NOT NULL,
    ended_at         TEXT,
    PRIMARY KEY (wallet_id, transfer_id),
    CHECK (CASE direction WHEN 'out' THEN status IN ('out', 'done', 'returned') ELSE status IN ('done', 'refused') END)
) WITHOUT ROWID;
CREATE INDEX idx_am_credit_transfer_newest ON am_credit_transfer (wallet_id, created_at, transfer_id);
CREATE INDEX idx_am_credit_transfer_open ON am_credit_transfer (created_at, wallet_id, transfer_id) WHERE status = 'out';
