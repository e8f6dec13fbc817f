-- The log of acts. They run unchanged on every database.

-- put_act: one more act
INSERT INTO am_credit_act (wallet_id, kind, subject, occurred_at, actor, author, address, request_id, before, after, reason, note)
VALUES (:wallet_id, :kind, :subject, :now, :actor, :author, :address, :request_id, :before, :after, :reason, :note);

-- recent_acts: how many of the last :newest acts on a wallet are of one author since :since, and when the first was
SELECT count(*), min(occurred_at)
FROM (SELECT author, occurred_at FROM am_credit_act WHERE wallet_id = :wallet_id ORDER BY act_id DESC LIMIT :newest) AS last
WHERE author = :author AND occurred_at > :since;

-- acts: a page of the log, newest first
SELECT act_id, occurred_at, kind, subject, wallet_id, author, actor, address, request_id, before, after, reason, note
FROM am_credit_act
WHERE act_id < :before
  AND (CAST(:kind AS TEXT) IS NULL OR kind = :kind OR substr(kind, 1, length(CAST(:kind AS TEXT)) + 1) = :kind || '.')
  AND (CAST(:author AS TEXT) IS NULL OR author = :author)
  AND (CAST(:subject AS TEXT) IS NULL OR subject = :subject)
  AND (CAST(:since AS TEXT) IS NULL OR occurred_at >= :since)
  AND (CAST(:until AS TEXT) IS NULL OR occurred_at < :until)
ORDER BY act_id DESC
LIMIT :limit;

-- acts_of_wallet: the same of what was done to one wallet
SELECT act_id, occurred_at, kind, subject, wallet_id, author, actor, address, request_id, before, after, reason, note
FROM am_credit_act
WHERE wallet_id = :wallet_id AND act_id < :before
  AND (CAST(:kind AS TEXT) IS NULL OR kind = :kind OR substr(kind, 1, length(CAST(:kind AS TEXT)) + 1) = :kind || '.')
  AND (CAST(:author AS TEXT) IS NULL OR author = :author)
  AND (CAST(:subject AS TEXT) IS NULL OR subject = :subject)
  AND (CAST(:since AS TEXT) IS NULL OR occurred_at >= :since)
  AND (CAST(:until AS TEXT) IS NULL OR occurred_at < :until)
ORDER BY act_id DESC
LIMIT :limit;

-- acts_on: the same of what was done to one thing
SELECT act_id, occurred_at, kind, subject, wallet_id, author, actor, address, request_id, before, after, reason, note
FROM am_credit_act
WHERE subject = :subject AND act_id < :before
  AND (CAST(:kind AS TEXT) IS NULL OR kind = :kind OR substr(kind, 1, length(CAST(:kind AS TEXT)) + 1) = :kind || '.')
  AND (CAST(:author AS TEXT) IS NULL OR author = :author)
  AND (CAST(:wallet_id AS BIGINT) IS NULL OR wallet_id = :wallet_id)
  AND (CAST(:since AS TEXT) IS NULL OR occurred_at >= :since)
  AND (CAST(:until AS TEXT) IS NULL OR occurred_at < :until)
ORDER BY act_id DESC
LIMIT :limit;

-- acts_by: the same of what one author did
SELECT act_id, occurred_at, kind, subject, wallet_id, author, actor, address, request_id, before, after, reason, note
FROM am_credit_act
WHERE author = :author AND act_id < :before
  AND (CAST(:kind AS TEXT) IS NULL OR kind = :kind OR substr(kind, 1, length(CAST(:kind AS TEXT)) + 1) = :kind || '.')
  AND (CAST(:subject AS TEXT) IS NULL OR subject = :subject)
  AND (CAST(:wallet_id AS BIGINT) IS NULL OR wallet_id = :wallet_id)
  AND (CAST(:since AS TEXT) IS NULL OR occurred_at >= :since)
  AND (CAST(:until AS TEXT) IS NULL OR occurred_at < :until)
ORDER BY act_id DESC
LIMIT :limit;
