-- 299: budgets at every level — limits on what charges may spend, and what is counted and reserved in each.
--
-- Amounts are of a budget's unit, yen or calls: whole ones, and the millionths beyond them in a column ..._fraction.

ALTER TABLE am_credit_wallet
    -- By which kinds of conditions the wallet's live budgets are found, and how many by each: JSON, {"run": 2}; empty for none.
    ADD COLUMN budget_kinds TEXT NOT NULL DEFAULT '',
    -- It was said that the balance is low or used up, and not since that it has recovered.
    ADD COLUMN recovery_due INTEGER NOT NULL DEFAULT 0 CHECK (recovery_due IN (0, 1));

-- The group that an agent key is in, inside up to three others: acme/research.
ALTER TABLE am_credit_key ADD COLUMN key_group TEXT COLLATE "C";

-- Where a hold reserves: JSON, [counted, [[budget_id, value, held], …]]. counted is 1 once it was captured, held is 0 in a
-- shadow budget that would have refused it. NULL: nowhere, and captured if it says so.
ALTER TABLE am_credit_hold ADD COLUMN reserved TEXT;

CREATE SEQUENCE am_credit_budget_budget_id_seq;
CREATE TABLE am_credit_budget (
    budget_id       BIGINT  NOT NULL DEFAULT nextval('am_credit_budget_budget_id_seq'),
    wallet_id       BIGINT  NOT NULL,
    label           TEXT,
    unit            TEXT    COLLATE "C" NOT NULL CHECK (unit IN ('yen', 'calls')),
    limit_whole     BIGINT  NOT NULL CHECK (limit_whole >= 0),
    limit_fraction  INTEGER NOT NULL DEFAULT 0 CHECK (limit_fraction BETWEEN 0 AND 999999),
    time_window     TEXT    COLLATE "C" NOT NULL,  -- minute, hour, day, week, month, total, rolling:24h
    scope           TEXT    NOT NULL,              -- JSON, [[name, value], …] in the order of names
    anchor          TEXT    COLLATE "C" NOT NULL,  -- the condition of the scope by which charges find it
    mode            TEXT    COLLATE "C" NOT NULL CHECK (mode IN ('alert', 'cap', 'shadow')),
    shares          TEXT    NOT NULL,              -- JSON, the percents at which it tells
    time_zone       TEXT    NOT NULL,
    week_start      TEXT    NOT NULL,
    raised_whole    BIGINT  CHECK (raised_whole >= 0),             -- the limit until raised_until
    raised_fraction INTEGER CHECK (raised_fraction BETWEEN 0 AND 999999),
    raised_until    TEXT    COLLATE "C",
    created_at      TEXT    COLLATE "C" NOT NULL,
    deleted_at      TEXT    COLLATE "C",
    after_txn_id    BIGINT  NOT NULL,              -- the wallet's last entry when it was created
    CHECK ((raised_whole IS NULL) = (raised_until IS NULL) AND (raised_whole IS NULL) = (raised_fraction IS NULL)),
    PRIMARY KEY (budget_id, wallet_id)
);
CREATE INDEX idx_am_credit_budget_anchor ON am_credit_budget (wallet_id, anchor) WHERE deleted_at IS NULL;
CREATE INDEX idx_am_credit_budget_wallet ON am_credit_budget (wallet_id, budget_id);

-- What a value has spent of a budget in each window. The value is empty unless the budget is for each value of something.
-- window_start and window_end are instants, both empty for all time. A rolling window has one row: spent is the sum of the
-- steps after counted_from, the last of all steps is last_at, and what was refused counts from the budget's creation.
CREATE TABLE am_credit_budget_spent (
    wallet_id        BIGINT  NOT NULL,
    budget_id        BIGINT  NOT NULL,
    window_start     TEXT    COLLATE "C" NOT NULL,
    value            TEXT    COLLATE "C" NOT NULL,
    window_end       TEXT    COLLATE "C" NOT NULL DEFAULT '',
    spent            BIGINT  NOT NULL DEFAULT 0 CHECK (spent >= 0),
    spent_fraction   INTEGER NOT NULL DEFAULT 0 CHECK (spent_fraction BETWEEN 0 AND 999999),
    refused          BIGINT  NOT NULL DEFAULT 0 CHECK (refused >= 0),      -- what a shadow would have refused
    refused_fraction INTEGER NOT NULL DEFAULT 0 CHECK (refused_fraction BETWEEN 0 AND 999999),
    refusals         BIGINT  NOT NULL DEFAULT 0 CHECK (refusals >= 0),
    told_pct         INTEGER NOT NULL DEFAULT 0,   -- the highest share that it has told of
    renewal          INTEGER NOT NULL DEFAULT 0 CHECK (renewal BETWEEN 0 AND 2),      -- 1: tell when it has ended; 2: told
    counted_from     TEXT    COLLATE "C",
    last_at          TEXT    COLLATE "C",
    PRIMARY KEY (wallet_id, budget_id, window_start, value)
);
CREATE INDEX idx_am_credit_budget_renewal ON am_credit_budget_spent (window_end)
    WHERE renewal = 1;

-- What open holds reserve in a budget, for each value with any.
CREATE TABLE am_credit_budget_held (
    wallet_id     BIGINT  NOT NULL,
    budget_id     BIGINT  NOT NULL,
    value         TEXT    COLLATE "C" NOT NULL,
    held          BIGINT  NOT NULL CHECK (held >= 0),
    held_fraction INTEGER NOT NULL DEFAULT 0 CHECK (held_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (wallet_id, budget_id, value)
);

-- What was spent of a budget with a rolling window, by the second at which it begins to count as past.
CREATE TABLE am_credit_budget_step (
    wallet_id      BIGINT  NOT NULL,
    budget_id      BIGINT  NOT NULL,
    value          TEXT    COLLATE "C" NOT NULL,
    at             TEXT    COLLATE "C" NOT NULL,
    spent          BIGINT  NOT NULL CHECK (spent >= 0),
    spent_fraction INTEGER NOT NULL DEFAULT 0 CHECK (spent_fraction BETWEEN 0 AND 999999),
    PRIMARY KEY (wallet_id, budget_id, value, at)
);

-- Who changed which budget, from what to what: JSON; before is NULL for a new budget, after for a deleted one. budget_id is
-- the one that everybody sees: budget-12, monthly-7 for the wallet's monthly budget, key-3 for the cap of an agent key.
CREATE SEQUENCE am_credit_budget_change_change_id_seq;
CREATE TABLE am_credit_budget_change (
    change_id    BIGINT NOT NULL DEFAULT nextval('am_credit_budget_change_change_id_seq'),
    wallet_id    BIGINT NOT NULL,
    budget_id    TEXT   COLLATE "C" NOT NULL,
    changed_by   TEXT   COLLATE "C" NOT NULL,
    changed_at   TEXT   COLLATE "C" NOT NULL,
    before       TEXT,
    after        TEXT,
    after_txn_id BIGINT NOT NULL,                  -- the wallet's last entry then
    PRIMARY KEY (change_id, wallet_id)
);
CREATE INDEX idx_am_credit_budget_change_wallet ON am_credit_budget_change (wallet_id, change_id);

CREATE FUNCTION am_credit_budget_change_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'changes to budgets are kept as they are: make another change'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER am_credit_budget_change_append_only_delete
BEFORE DELETE ON am_credit_budget_change
FOR EACH ROW EXECUTE FUNCTION am_credit_budget_change_append_only();
CREATE TRIGGER am_credit_budget_change_append_only_truncate
BEFORE TRUNCATE ON am_credit_budget_change
FOR EACH STATEMENT EXECUTE FUNCTION am_credit_budget_change_append_only();
CREATE TRIGGER am_credit_budget_change_append_only_update
BEFORE UPDATE ON am_credit_budget_change
FOR EACH ROW EXECUTE FUNCTION am_credit_budget_change_append_only();
