-- Who is signed in, and the links that let customers in. They run unchanged on every database.

-- session: the session of a secret, and whether it is the one before the current secret
SELECT session_id, wallet_id, csrf, opened_by, token_hash, scopes, embedded, language, created_at, used_at, rotated_at, 0
FROM am_credit_session WHERE secret_hash = :secret_hash
UNION ALL
SELECT session_id, wallet_id, csrf, opened_by, token_hash, scopes, embedded, language, created_at, used_at, rotated_at, 1
FROM am_credit_session WHERE earlier_hash = :secret_hash;

-- begin: a new session
INSERT INTO am_credit_session (wallet_id, secret_hash, rotated_at, csrf, opened_by, token_hash, scopes, embedded, language,
                               created_at, used_at)
VALUES (:wallet_id, :secret_hash, :now, :csrf, :opened_by, :token_hash, :scopes, :embedded, :language, :now, :now)
RETURNING session_id;

-- end_longest_unused: all sessions of one who is signed in, but for the :max that were used last
DELETE FROM am_credit_session
WHERE wallet_id = :wallet_id AND opened_by = :opened_by AND session_id IN (
    SELECT session_id FROM am_credit_session
    WHERE wallet_id = :wallet_id AND opened_by = :opened_by
    ORDER BY used_at DESC, session_id DESC
    LIMIT 1000 OFFSET :max
);

-- note_use: that it was used, unless that was noted lately
UPDATE am_credit_session SET used_at = :now
WHERE session_id = :session_id AND wallet_id = :wallet_id AND used_at <= :noted_before;

-- rotate: another secret, unless it has another one already
UPDATE am_credit_session SET secret_hash = :new_hash, earlier_hash = :secret_hash, rotated_at = :now
WHERE secret_hash = :secret_hash
RETURNING session_id;

-- end: one session
DELETE FROM am_credit_session WHERE session_id = :session_id AND wallet_id = :wallet_id;

-- end_all: all sessions of one who is signed in
DELETE FROM am_credit_session WHERE wallet_id = :wallet_id AND opened_by = :opened_by
RETURNING session_id;

-- end_of_wallet: all sessions of a wallet
DELETE FROM am_credit_session WHERE wallet_id = :wallet_id;

-- end_linked: a wallet's sessions that a link has opened
DELETE FROM am_credit_session WHERE wallet_id = :wallet_id AND scopes IS NOT NULL;

-- create_link: a new link
INSERT INTO am_credit_link (secret_hash, wallet_id, made_by, token_hash, scopes, path, language, created_at, expires_at)
VALUES (:secret_hash, :wallet_id, :made_by, :token_hash, :scopes, :path, :language, :now, :expires_at);

-- drop_links: links of a wallet beyond :max, ended ones first, then the oldest
DELETE FROM am_credit_link
WHERE wallet_id = :wallet_id AND secret_hash IN (
    SELECT secret_hash FROM am_credit_link
    WHERE wallet_id = :wallet_id
    ORDER BY CASE WHEN taken_at IS NULL AND expires_at > :now THEN 0 ELSE 1 END, created_at DESC, secret_hash
    LIMIT 1000 OFFSET :max
);

-- link: whose a link is, open or not
SELECT wallet_id FROM am_credit_link WHERE secret_hash = :secret_hash;

-- take_link: once, and in its time
UPDATE am_credit_link SET taken_at = :now
WHERE secret_hash = :secret_hash AND wallet_id = :wallet_id AND taken_at IS NULL AND expires_at > :now AND created_at <= :soon
RETURNING made_by, token_hash, scopes, path, language;

-- taken: the session of a secret, and where the link leads that it began with
SELECT s.session_id, l.path, l.language
FROM am_credit_session s JOIN am_credit_link l ON l.wallet_id = s.wallet_id
WHERE s.secret_hash = :session_hash AND l.secret_hash = :secret_hash;

-- end_links: all links of a wallet
DELETE FROM am_credit_link WHERE wallet_id = :wallet_id;
