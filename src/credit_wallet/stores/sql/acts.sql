-- The log of acts. They run unchanged on every database.

-- put_act: one more act
INSERT INTO am_credit_act (wallet_id, kind, subject, occurred_at, actor, author, address, request_id, before, after, reason, note)
VALUES (:wallet_id, :kind, :subject, :now, :actor, :author, :address, :request_id, :before, :after, :reason, :note);

-- acts: a page of the log, newest first
SELECT act_id, occurred_at, kind, subject, wallet_id, author, actor, address, request_id, before, after, reason, note
FROM am_credit_act
WHERE act_id < :before
ORDER BY act_id DESC
LIMIT :limit;

-- acts_of_wallet: a page of what was done to one wallet, newest first
SELECT act_id, occurred_at, kind, subject, wallet_id, author, actor, address, request_id, before, after, reason, note
FROM am_credit_act
WHERE wallet_id = :wallet_id AND act_id < :before
ORDER BY act_id DESC
LIMIT :limit;
