-- 301: grants — credit that an operator has promised a wallet: once at an instant, or every month until one.

-- What was promised. Only how far it has got (from next_occurrence on) and its end change.
CREATE SEQUENCE am_credit_grant_grant_id_seq;
CREATE TABLE am_credit_grant (
    grant_id        BIGINT  NOT NULL DEFAULT nextval('am_credit_grant_grant_id_seq'),
    wallet_id       BIGINT  NOT NULL,
    idempotency_key TEXT    COLLATE "C" NOT NULL,              -- of the request that made it
    amount_yen      BIGINT  NOT NULL CHECK (amount_yen >= 0),
    amount_fraction INTEGER NOT NULL DEFAULT 0 CHECK (amount_fraction BETWEEN 0 AND 999999),
    kind            TEXT    COLLATE "C" NOT NULL CHECK (kind IN ('paid', 'promo')),
    starts_at       TEXT    COLLATE "C" NOT NULL,              -- of occurrence 0; the others by the wallet's clocks
    every           TEXT    COLLATE "C" CHECK (every = 'month'),  -- NULL: once
    until_at        TEXT    COLLATE "C",                          -- nothing comes then or later; NULL: without end
    lapses          TEXT    COLLATE "C" NOT NULL CHECK (lapses IN ('never', 'next', 'days')),
    lapse_days      INTEGER NOT NULL DEFAULT 0 CHECK ((lapses = 'days') = (lapse_days > 0)),
    note            TEXT,
    created_at      TEXT    COLLATE "C" NOT NULL,
    next_occurrence BIGINT  NOT NULL DEFAULT 0 CHECK (next_occurrence >= 0),
    next_at         TEXT    COLLATE "C",                          -- when the next occurrence comes; NULL: there is none
    due_at          TEXT    COLLATE "C",                          -- for the worker: next_at, or later after a refusal
    canceled_at     TEXT    COLLATE "C",
    CHECK (amount_yen + amount_fraction > 0),
    CHECK ((next_at IS NULL) = (due_at IS NULL) AND (next_at IS NULL OR canceled_at IS NULL)),
    PRIMARY KEY (wallet_id, grant_id),
    UNIQUE (wallet_id, idempotency_key)
);
CREATE INDEX idx_am_credit_grant_id ON am_credit_grant (grant_id);
CREATE INDEX idx_am_credit_grant_due ON am_credit_grant (due_at) WHERE due_at IS NOT NULL;

CREATE FUNCTION am_credit_grant_terms_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the terms of a grant are kept as they are: cancel it and make another one'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER am_credit_grant_terms_fixed
BEFORE UPDATE OF grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note
ON am_credit_grant
FOR EACH ROW EXECUTE FUNCTION am_credit_grant_terms_fixed();

-- Every occurrence that has come, by its number: credited by the entry that it names, or lapsed before it could be.
CREATE TABLE am_credit_grant_occurrence (
    wallet_id  BIGINT NOT NULL,
    grant_id   BIGINT NOT NULL,
    occurrence BIGINT NOT NULL CHECK (occurrence >= 0),
    came_at    TEXT   COLLATE "C" NOT NULL,
    status     TEXT   COLLATE "C" NOT NULL CHECK (status IN ('credited', 'lapsed')),
    txn_id     BIGINT,
    lapses_at  TEXT   COLLATE "C",
    CHECK ((status = 'credited') = (txn_id IS NOT NULL)),
    PRIMARY KEY (wallet_id, grant_id, occurrence)
);

CREATE FUNCTION am_credit_grant_occurrence_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'occurrences of grants are append-only: they say what was credited'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER am_credit_grant_occurrence_append_only_delete
BEFORE DELETE ON am_credit_grant_occurrence
FOR EACH ROW EXECUTE FUNCTION am_credit_grant_occurrence_append_only();
CREATE TRIGGER am_credit_grant_occurrence_append_only_truncate
BEFORE TRUNCATE ON am_credit_grant_occurrence
FOR EACH STATEMENT EXECUTE FUNCTION am_credit_grant_occurrence_append_only();
CREATE TRIGGER am_credit_grant_occurrence_append_only_update
BEFORE UPDATE ON am_credit_grant_occurrence
FOR EACH ROW EXECUTE FUNCTION am_credit_grant_occurrence_append_only();
