-- 291: a queue for each target, mailboxes that are asked before they are written to, and counts of mail.

-- A target is the queue of its deliveries. What was there before counts as confirmed.
ALTER TABLE am_credit_target ADD COLUMN way TEXT NOT NULL DEFAULT 'service'
    CHECK (way IN ('webhook', 'mail', 'service'));
ALTER TABLE am_credit_target ADD COLUMN due_at TEXT;                          -- of the first that waits; NULL: none does
ALTER TABLE am_credit_target ADD COLUMN rests_until TEXT NOT NULL DEFAULT '';  -- it is taken, or failed
ALTER TABLE am_credit_target ADD COLUMN failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0);  -- in a row
ALTER TABLE am_credit_target ADD COLUMN hour TEXT NOT NULL DEFAULT '';        -- YYYY-MM-DDTHH, of hour_notices
ALTER TABLE am_credit_target ADD COLUMN hour_notices INTEGER NOT NULL DEFAULT 0;
ALTER TABLE am_credit_target ADD COLUMN confirm_by TEXT;                      -- NULL: confirmed, or needs not be
ALTER TABLE am_credit_target ADD COLUMN code_sha256 TEXT CHECK (length(code_sha256) = 64);
ALTER TABLE am_credit_target ADD COLUMN code_guesses INTEGER NOT NULL DEFAULT 0;
UPDATE am_credit_target SET way = CASE
    WHEN lower(url) LIKE 'mailto:%' THEN 'mail'
    WHEN lower(url) LIKE 'https://hooks.slack.com/%' OR lower(url) LIKE 'https://discord.com/%'
      OR lower(url) LIKE 'https://discordapp.com/%' OR lower(url) LIKE 'https://chat.googleapis.com/%' THEN 'service'
    WHEN lower(url) LIKE 'https://%' OR lower(url) LIKE 'http://%' THEN 'webhook'
    ELSE 'service' END;
CREATE INDEX idx_am_credit_target_due ON am_credit_target (way, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX idx_am_credit_target_confirm_by ON am_credit_target (confirm_by) WHERE confirm_by IS NOT NULL;

CREATE INDEX idx_am_credit_delivery_queue ON am_credit_delivery (target_id, next_attempt_at, delivery_id)
    WHERE status = 'pending';
UPDATE am_credit_target SET due_at = (SELECT min(d.next_attempt_at) FROM am_credit_delivery d
                                      WHERE d.target_id = am_credit_target.target_id AND d.status = 'pending');

-- What is over is found by its age and goes after a while.
CREATE INDEX idx_am_credit_delivery_over ON am_credit_delivery (created_at) WHERE status <> 'pending';
CREATE INDEX idx_am_credit_outbox_over ON am_credit_outbox (occurred_at) WHERE handed_out = 1;

-- Mails of a day (UTC): to a mailbox, and those that ask, of a wallet and to a mailbox.
CREATE TABLE am_credit_mail_count (
    wallet_id INTEGER NOT NULL,                            -- 0 for a mailbox, whoever writes to it
    counted   TEXT    NOT NULL,
    day       TEXT    NOT NULL CHECK (length(day) = 10),   -- YYYY-MM-DD
    mails     INTEGER NOT NULL,
    PRIMARY KEY (wallet_id, counted, day)
) WITHOUT ROWID;
CREATE INDEX idx_am_credit_mail_count_day ON am_credit_mail_count (day);
