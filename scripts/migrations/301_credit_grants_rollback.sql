-- Drops what 301 added, unless credit is still to come: nobody would notice that it does not. What came stays credited.

CREATE TEMP TABLE no_grant_may_be_running (
    running INTEGER CONSTRAINT "the ledger has grants whose credit is still to come; cancel them, or keep 301"
        CHECK (running = 0)
);
INSERT INTO no_grant_may_be_running
SELECT EXISTS (SELECT 1 FROM am_credit_grant WHERE next_at IS NOT NULL);
DROP TABLE no_grant_may_be_running;

DROP TABLE am_credit_grant_occurrence;
DROP TABLE am_credit_grant;
