-- Grants and their occurrences, and consents to automatic top-ups. The statements run unchanged on every database.

-- state: a grant as the rail decides about it
SELECT grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note,
       next_occurrence, next_at, due_at, canceled_at
FROM am_credit_grant
WHERE wallet_id = :wallet_id AND grant_id = :grant_id;

-- advance: how far a grant has got
UPDATE am_credit_grant SET next_occurrence = :next_occurrence, next_at = :next_at, due_at = :due_at
WHERE wallet_id = :wallet_id AND grant_id = :grant_id;

-- put_occurrence: an occurrence that has come
INSERT INTO am_credit_grant_occurrence (wallet_id, grant_id, occurrence, came_at, status, txn_id, lapses_at)
VALUES (:wallet_id, :grant_id, :occurrence, :came_at, :status, :txn_id, :lapses_at);

-- due: grants to be tried by :at, those that wait longest first
SELECT wallet_id, grant_id, next_occurrence FROM am_credit_grant
WHERE due_at IS NOT NULL AND due_at <= :at
ORDER BY due_at, grant_id
LIMIT :limit;

-- lock_wallet: a wallet, for this transaction alone; its time zone
UPDATE am_credit_wallet SET owner_token_hash = owner_token_hash WHERE wallet_id = :wallet_id
RETURNING time_zone;

-- of_request: the grant that a request made
SELECT grant_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note, next_occurrence,
       created_at
FROM am_credit_grant
WHERE wallet_id = :wallet_id AND idempotency_key = :idempotency_key;

-- count_running: grants of a wallet from which credit is still to come, as far as :max
SELECT count(*)
FROM (SELECT grant_id FROM am_credit_grant WHERE wallet_id = :wallet_id AND next_at IS NOT NULL LIMIT :max) AS running;

-- create: a new grant
INSERT INTO am_credit_grant (wallet_id, idempotency_key, amount_yen, amount_fraction, kind, starts_at, every, until_at,
                             lapses, lapse_days, note, created_at, next_at, due_at)
VALUES (:wallet_id, :idempotency_key, :amount_yen, :amount_fraction, :kind, :starts_at, :every, :until_at, :lapses,
        :lapse_days, :note, :created_at, :next_at, :next_at)
RETURNING grant_id;

-- owner_of: whose grant it is
SELECT wallet_id FROM am_credit_grant WHERE grant_id = :grant_id;

-- cancel: a grant ends; the first time counts
UPDATE am_credit_grant SET canceled_at = :at, next_at = NULL, due_at = NULL
WHERE wallet_id = :wallet_id AND grant_id = :grant_id AND next_at IS NOT NULL
RETURNING grant_id;

-- show: a grant
SELECT grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note,
       created_at, next_occurrence, next_at, due_at, canceled_at
FROM am_credit_grant
WHERE grant_id = :grant_id;

-- list: a page of all grants, by id
SELECT grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note,
       created_at, next_occurrence, next_at, due_at, canceled_at
FROM am_credit_grant
WHERE grant_id > :after
ORDER BY grant_id
LIMIT :limit;

-- list_of: a page of a wallet's grants, by id
SELECT grant_id, wallet_id, amount_yen, amount_fraction, kind, starts_at, every, until_at, lapses, lapse_days, note,
       created_at, next_occurrence, next_at, due_at, canceled_at
FROM am_credit_grant
WHERE wallet_id = :wallet_id AND grant_id > :after
ORDER BY grant_id
LIMIT :limit;

-- occurrences: those of a grant that have come before :before, newest first
SELECT wallet_id, grant_id, occurrence, came_at, status, txn_id, lapses_at FROM am_credit_grant_occurrence
WHERE wallet_id = :wallet_id AND grant_id = :grant_id AND occurrence < :before
ORDER BY occurrence DESC
LIMIT :limit;

-- put_consent: what was agreed to
INSERT INTO am_credit_auto_topup_consent (wallet_id, consent_no, consented_at, consented_by, language, wording, version,
                                          threshold, amount, daily_yen, monthly_yen)
VALUES (:wallet_id, :consent_no, :consented_at, :consented_by, :language, :text, :version, :auto_topup_threshold,
        :auto_topup_amount, :auto_topup_daily_yen, :auto_topup_monthly_yen);

-- consents: those of a wallet before :before, newest first
SELECT threshold, amount, daily_yen, monthly_yen, wallet_id, consent_no, consented_at, consented_by, language, wording,
       version
FROM am_credit_auto_topup_consent
WHERE wallet_id = :wallet_id AND consent_no < :before
ORDER BY consent_no DESC
LIMIT :limit;
