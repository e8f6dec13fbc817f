-- 301: grants — credit that an operator has promised a wallet: once at an instant, or every month until one.

-- What was promised. Only how far it has got (from next_occurrence on) and its end change.
CREATE TABLE am_credit_grant (
    grant_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    wallet_id       INTEGER NOT NULL,
    idempotency_key TEXT    NOT NULL,              -- of the request that made it
    amount_yen      INTEGER NOT NULL CHECK (amount_yen >= 0),
    amount_fraction INTEGER NOT NULL DEFAULT 0 CHECK (amount_fraction BETWEEN 0 AND 999999),
    kind            TEXT    NOT NULL CHECK (kind IN ('paid', 'promo')),
    starts_at       TEXT    NOT NULL,              -- of occurrence 0; the others by the wallet's clocks
    every           TEXT    CHECK (every = 'month'),  -- NULL: once
    until_at        TEXT,                          -- nothing comes then or later; NULL: without end
    lapses          TEXT    NOT NULL CHECK (lapses IN ('never', 'next', 'days')),
    lapse_days      INTEGER NOT NULL DEFAULT 0 CHECK ((lapses = 'days') = (lapse_days > 0)),
    note            TEXT,
    created_at      TEXT    NOT NULL,
    next_occurrence INTEGER NOT NULL DEFAULT 0 CHECK (next_occurrence >= 0),
    next_at         TEXT,                          -- when the next occurrence comes; NULL: there is none
    due_at          TEXT,                          -- for the worker: next_at, or later after a refusal
    canceled_at     TEXT,
    CHECK (amount_yen + amount_fraction > 0),
    CHECK ((next_at IS NULL) = (due_at IS NULL) AND (next_at IS NULL OR canceled_at IS NULL)),
    UNIQUE (wallet_id, idempotency_key)
);
CREATE INDEX idx_am_credit_grant_due ON am_credit_grant (due_at) WHERE due_at IS NOT NULL;

CREATE TRIGGER am_credit_grant_terms_fixed
BEFORE UPDATE OF grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note
ON am_credit_grant
BEGIN
    SELECT RAISE(ABORT, 'the terms of a grant are kept as they are: cancel it and make another one');
END;

-- Every occurrence that has come, by its number: credited by the entry that it names, or lapsed before it could be.
CREATE TABLE am_credit_grant_occurrence (
    wallet_id  INTEGER NOT NULL,
    grant_id   INTEGER NOT NULL,
    occurrence INTEGER NOT NULL CHECK (occurrence >= 0),
    came_at    TEXT    NOT NULL,
    status     TEXT    NOT NULL CHECK (status IN ('credited', 'lapsed')),
    txn_id     INTEGER,
    lapses_at  TEXT,
    CHECK ((status = 'credited') = (txn_id IS NOT NULL)),
    PRIMARY KEY (wallet_id, grant_id, occurrence)
) WITHOUT ROWID;

CREATE TRIGGER am_credit_grant_occurrence_append_only_delete
BEFORE DELETE ON am_credit_grant_occurrence
BEGIN
    SELECT RAISE(ABORT, 'occurrences of grants are append-only: they say what was credited');
END;

CREATE TRIGGER am_credit_grant_occurrence_append_only_update
BEFORE UPDATE ON am_credit_grant_occurrence
BEGIN
    SELECT RAISE(ABORT, 'occurrences of grants are append-only: they say what was credited');
END;
