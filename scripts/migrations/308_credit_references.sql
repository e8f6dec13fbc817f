-- 308: what a host calls its wallets and agent keys, and the words by which they are found. A charge touches none of it.

-- Which wallet has a reference. Unique over all wallets.
CREATE TABLE am_credit_reference (
    reference TEXT    NOT NULL PRIMARY KEY,
    wallet_id INTEGER NOT NULL UNIQUE
) WITHOUT ROWID;

-- Names of a wallet (key_id 0) or of an agent key. Wallets from before have a row as soon as the ledger is opened again; agent
-- keys from before get one with their first reference, metadata or new token.
CREATE TABLE am_credit_profile (
    wallet_id    INTEGER NOT NULL,
    key_id       INTEGER NOT NULL DEFAULT 0,
    reference    TEXT    NOT NULL DEFAULT '',      -- empty: none
    token_prefix TEXT    NOT NULL DEFAULT '',      -- the beginning of the current token; empty: made before 308
    sorted_label TEXT    NOT NULL DEFAULT '',      -- of a wallet: the label as it is sorted by
    created_at   TEXT    NOT NULL,
    metadata     TEXT    NOT NULL DEFAULT '{}',    -- JSON, {name: text}
    PRIMARY KEY (wallet_id, key_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX idx_am_credit_profile_key ON am_credit_profile (wallet_id, reference) WHERE key_id > 0 AND reference <> '';
CREATE INDEX idx_am_credit_profile_label ON am_credit_profile (sorted_label, wallet_id) WHERE key_id = 0;
CREATE INDEX idx_am_credit_profile_reference ON am_credit_profile (reference, wallet_id) WHERE key_id = 0;
CREATE INDEX idx_am_credit_profile_created ON am_credit_profile (created_at, wallet_id) WHERE key_id = 0;

-- Words of labels, references, metadata and beginnings of tokens, folded. A query finds those that begin with its words.
CREATE TABLE am_credit_search_term (
    term      TEXT    NOT NULL,
    wallet_id INTEGER NOT NULL,
    key_id    INTEGER NOT NULL DEFAULT 0,          -- 0: the wallet's own
    PRIMARY KEY (term, wallet_id, key_id)
) WITHOUT ROWID;
CREATE INDEX idx_am_credit_search_term_wallet ON am_credit_search_term (wallet_id, term, key_id);

-- Wallets that an operator looks for. A charge changes none of these columns, unless it carries the balance below its threshold.
CREATE INDEX idx_am_credit_wallet_disabled ON am_credit_wallet (wallet_id) WHERE enabled = 0;
CREATE INDEX idx_am_credit_wallet_in_debt ON am_credit_wallet (wallet_id) WHERE debt_yen > 0 OR debt_fraction > 0;
CREATE INDEX idx_am_credit_wallet_exhausted ON am_credit_wallet (wallet_id) WHERE exhausted = 1;
CREATE INDEX idx_am_credit_wallet_low ON am_credit_wallet (wallet_id) WHERE recovery_due = 1;
CREATE INDEX idx_am_credit_topup_failed ON am_credit_topup (wallet_id) WHERE status = 'failed';
