-- 307: the log of acts — whatever is done to a ledger besides moving money: settings, keys, budgets, prices, roles, targets,
-- corrections. Each row is written in the transaction of what it records.

CREATE TABLE am_credit_act (
    act_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    wallet_id   INTEGER NOT NULL,                  -- 0: on none
    kind        TEXT    NOT NULL,                  -- noun.verb
    subject     TEXT    NOT NULL,                  -- the thing, as in 'key:7'
    occurred_at TEXT    NOT NULL,
    actor       TEXT    NOT NULL,                  -- payer, operator, product, or seller:<id>
    author      TEXT    NOT NULL,                  -- who: owner, agent:7, operator:3, library, …
    address     TEXT,                              -- from where, over HTTP
    request_id  TEXT,
    before      TEXT,                              -- JSON: what changed, as it was
    after       TEXT,                              -- JSON: as it is now
    reason      TEXT,                              -- a code
    note        TEXT                               -- why, in words
);
CREATE INDEX idx_am_credit_act_wallet ON am_credit_act (wallet_id, act_id);

CREATE TRIGGER am_credit_act_append_only_delete
BEFORE DELETE ON am_credit_act
BEGIN
    SELECT RAISE(ABORT, 'the log of acts is append-only');
END;

CREATE TRIGGER am_credit_act_append_only_update
BEFORE UPDATE ON am_credit_act
BEGIN
    SELECT RAISE(ABORT, 'the log of acts is append-only');
END;
