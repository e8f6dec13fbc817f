-- Mailboxes that are asked before they are written to, and how many mails go where. They run unchanged on every database.

-- count_mail: count one more mail of a day; how many there have been
INSERT INTO am_credit_mail_count (wallet_id, counted, day, mails) VALUES (:wallet_id, :counted, :day, 1)
ON CONFLICT (wallet_id, counted, day) DO UPDATE SET mails = am_credit_mail_count.mails + 1
RETURNING mails;

-- counted: how many mails of a day there have been
SELECT mails FROM am_credit_mail_count WHERE wallet_id = :wallet_id AND counted = :counted AND day = :day;

-- count_notices: count more notices of a wallet that the operator gets; how many there have been
INSERT INTO am_credit_mail_count (wallet_id, counted, day, mails) VALUES (:wallet_id, :counted, :day, :more)
ON CONFLICT (wallet_id, counted, day) DO UPDATE SET mails = am_credit_mail_count.mails + excluded.mails
RETURNING mails;

-- put_code: the code that a mailbox is sent now; the one before it is of no use any more
UPDATE am_credit_target SET code_sha256 = :code_sha256, code_guesses = 0
WHERE target_id = :target_id AND confirm_by IS NOT NULL;

-- asked: what a mailbox was asked
SELECT code_sha256, code_guesses, confirm_by FROM am_credit_target
WHERE target_id = :target_id AND wallet_id = :wallet_id;

-- guess: one more wrong code
UPDATE am_credit_target SET code_guesses = code_guesses + 1 WHERE target_id = :target_id;

-- confirm: a mailbox has said yes
UPDATE am_credit_target SET confirm_by = NULL, code_sha256 = NULL, due_at = NULL WHERE target_id = :target_id;

-- ask_again: a mailbox is asked once more
UPDATE am_credit_target SET due_at = :at, confirm_by = :confirm_by, failures = 0
WHERE target_id = :target_id AND confirm_by IS NOT NULL;

-- prune_unconfirmed: mailboxes that did not say yes in time
DELETE FROM am_credit_target
WHERE target_id IN (SELECT target_id FROM am_credit_target WHERE confirm_by <= :at ORDER BY confirm_by LIMIT :limit)
RETURNING target_id;

-- delete_unconfirmed_of: the same for those of a wallet
DELETE FROM am_credit_target WHERE wallet_id = :wallet_id AND confirm_by <= :at RETURNING target_id;

-- prune_counts: delete counts of past days
DELETE FROM am_credit_mail_count
WHERE (wallet_id, counted, day) IN (SELECT wallet_id, counted, day FROM am_credit_mail_count WHERE day < :today
                                    ORDER BY day LIMIT :limit)
RETURNING 1;

-- prune_deliveries: delete old deliveries that were sent or dead-lettered
DELETE FROM am_credit_delivery
WHERE status <> 'pending'
  AND delivery_id IN (SELECT delivery_id FROM am_credit_delivery WHERE status <> 'pending' AND created_at < :before
                      ORDER BY created_at LIMIT :limit)
RETURNING 1;

-- prune_events: delete old events without deliveries to make
DELETE FROM am_credit_outbox
WHERE event_id IN (SELECT e.event_id FROM am_credit_outbox e
                   WHERE e.handed_out = 1 AND e.occurred_at < :before
                     AND NOT EXISTS (SELECT 1 FROM am_credit_delivery d WHERE d.event_id = e.event_id)
                   ORDER BY e.occurred_at LIMIT :limit)
RETURNING 1;
