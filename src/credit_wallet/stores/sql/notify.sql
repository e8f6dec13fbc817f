-- Notification: targets, fanning events out to them, deliveries. They run unchanged on every database.

-- targets: a wallet's targets, oldest first; wallet 0 is the operator
SELECT url, kinds, language, quiet_hours, digest, time_zone, target_id, wallet_id, secrets, stopped, created_at,
       confirm_by, hour, hour_notices
FROM am_credit_target
WHERE wallet_id = :wallet_id
ORDER BY target_id;

-- target: one target
SELECT url, kinds, language, quiet_hours, digest, time_zone, target_id, wallet_id, secrets, stopped, created_at,
       confirm_by, hour, hour_notices
FROM am_credit_target
WHERE target_id = :target_id;

-- put_target: a new target, or other settings of the one with this address, which is started again
INSERT INTO am_credit_target (wallet_id, url, kinds, language, quiet_hours, digest, time_zone, secrets, created_at, way,
                              due_at, confirm_by)
VALUES (:wallet_id, :url, :kinds, :language, :quiet_hours, :digest, :time_zone, :secrets, :at, :channel, :due_at,
        :confirm_by)
ON CONFLICT (wallet_id, url) DO UPDATE
SET kinds = excluded.kinds, language = excluded.language, quiet_hours = excluded.quiet_hours,
    digest = excluded.digest, time_zone = excluded.time_zone, secrets = excluded.secrets, stopped = NULL, failures = 0
RETURNING target_id;

-- drop_target: delete a target
DELETE FROM am_credit_target WHERE target_id = :target_id AND wallet_id = :wallet_id RETURNING target_id;

-- dead_letter: dead-letter the pending deliveries of a target
UPDATE am_credit_delivery SET status = 'dead', last_error = :reason
WHERE target_id = :target_id AND status = 'pending'
RETURNING delivery_id;

-- stop_target: stop sending to a target
UPDATE am_credit_target SET stopped = :reason, due_at = NULL WHERE target_id = :target_id RETURNING target_id;

-- to_do: whether there is something to fan out or to send
SELECT 1
WHERE EXISTS (SELECT 1 FROM am_credit_outbox WHERE handed_out = 0)
   OR EXISTS (SELECT 1 FROM am_credit_target WHERE way = 'webhook' AND due_at <= :at AND rests_until <= :at)
   OR EXISTS (SELECT 1 FROM am_credit_target WHERE way = 'mail' AND due_at <= :at AND rests_until <= :at)
   OR EXISTS (SELECT 1 FROM am_credit_target WHERE way = 'service' AND due_at <= :at AND rests_until <= :at);

-- to_fan_out: whether there is something to fan out
SELECT 1 WHERE EXISTS (SELECT 1 FROM am_credit_outbox WHERE handed_out = 0);

-- fan_out: take the next events that were not fanned out
UPDATE am_credit_outbox SET handed_out = 1
WHERE handed_out = 0
  AND event_id IN (SELECT event_id FROM am_credit_outbox WHERE handed_out = 0 ORDER BY event_id LIMIT :limit)
RETURNING event_id, wallet_id, kind, occurred_at, payload;

-- mark_event: an event says more than it did when it was emitted
UPDATE am_credit_outbox SET payload = :payload WHERE event_id = :event_id AND wallet_id = :wallet_id;

-- put_delivery: an event is to be sent to a target
INSERT INTO am_credit_delivery (wallet_id, event_id, target_id, status, next_attempt_at, last_error, created_at)
VALUES (:wallet_id, :event_id, :target_id, :status, :next_attempt_at, :error, :at)
ON CONFLICT (event_id, target_id, wallet_id) DO NOTHING;

-- note_fanned_out: a target has more to be sent; how many notices were fanned out to it in this hour
UPDATE am_credit_target
SET hour = :hour, hour_notices = :hour_notices,
    due_at = CASE WHEN due_at IS NOT NULL AND due_at <= :due_at THEN due_at
                  WHEN failures > 0 AND rests_until > :due_at THEN rests_until
                  ELSE :due_at END
WHERE target_id = :target_id
RETURNING target_id;

-- due_targets: targets of one channel that have something due and that nobody has, those that wait longest first
SELECT target_id FROM am_credit_target
WHERE way = :channel AND due_at <= :at AND rests_until <= :at AND failures >= :min_failures AND failures <= :max_failures
ORDER BY due_at, target_id
LIMIT :limit;

-- due_last: the same, those that have just begun to wait first
SELECT target_id FROM am_credit_target
WHERE way = :channel AND due_at <= :at AND rests_until <= :at AND failures >= :min_failures AND failures <= :max_failures
ORDER BY due_at DESC, target_id DESC
LIMIT :limit;

-- take_target: take a target until :lease, when somebody else may, unless somebody has
UPDATE am_credit_target SET rests_until = :lease
WHERE target_id = :target_id AND due_at <= :at AND rests_until <= :at
RETURNING url, kinds, language, quiet_hours, digest, time_zone, target_id, wallet_id, secrets, stopped, created_at,
          confirm_by, hour, hour_notices, failures;

-- take_deliveries: take what is due for a target that was taken
UPDATE am_credit_delivery SET attempts = attempts + 1, next_attempt_at = :lease
WHERE status = 'pending' AND target_id = :target_id
  AND delivery_id IN (SELECT delivery_id FROM am_credit_delivery
                      WHERE status = 'pending' AND target_id = :target_id AND next_attempt_at <= :at
                      ORDER BY next_attempt_at, delivery_id LIMIT :limit)
RETURNING delivery_id, event_id, attempts;

-- release_delivery: release a delivery that was taken and not tried
UPDATE am_credit_delivery SET attempts = attempts - 1, next_attempt_at = :at
WHERE delivery_id = :delivery_id AND status = 'pending' AND attempts > 0;

-- free_target: release a target that is leased until :lease
UPDATE am_credit_target SET rests_until = :rests_until, failures = :failures
WHERE target_id = :target_id AND rests_until = :lease
RETURNING target_id;

-- next_due: when the next delivery to a target is due, not before :rests_until
UPDATE am_credit_target
SET due_at = (SELECT CASE WHEN min(d.next_attempt_at) < :rests_until THEN :rests_until ELSE min(d.next_attempt_at) END
              FROM am_credit_delivery d
              WHERE d.target_id = am_credit_target.target_id AND d.status = 'pending')
WHERE target_id = :target_id;

-- dead_letter_old: what a target that has failed for days is not sent any more
UPDATE am_credit_delivery SET status = 'dead', last_error = :reason
WHERE target_id = :target_id AND status = 'pending' AND created_at <= :since
RETURNING delivery_id;

-- note_asked: a mailbox was asked, or is to be asked again at :due_at
UPDATE am_credit_target SET due_at = :due_at WHERE target_id = :target_id AND confirm_by IS NOT NULL;

-- first_wallet: the wallet under which the outbox has what is of the whole ledger
SELECT min(wallet_id) FROM am_credit_wallet;

-- event: what happened, with the label and the time zone that its wallet has now
SELECT e.event_id, e.wallet_id, w.label, e.kind, e.payload, e.occurred_at, w.time_zone
FROM am_credit_outbox e JOIN am_credit_wallet w ON w.wallet_id = e.wallet_id
WHERE e.event_id = :event_id;

-- delivered: a delivery arrived
UPDATE am_credit_delivery SET status = 'delivered', delivered_at = :at, last_error = NULL
WHERE delivery_id = :delivery_id
RETURNING event_id;

-- event_delivered: an event has arrived everywhere it is to be sent to
UPDATE am_credit_outbox SET delivered_at = :at
WHERE event_id = :event_id AND delivered_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM am_credit_delivery d
                  WHERE d.event_id = am_credit_outbox.event_id AND d.status <> 'delivered');

-- failed: an attempt failed; it is pending until the next one, or dead
UPDATE am_credit_delivery SET status = :status, next_attempt_at = :next_attempt_at, last_error = :error
WHERE delivery_id = :delivery_id AND status = 'pending';

-- deliveries: the latest deliveries of one wallet, with one status or any
SELECT d.delivery_id, d.wallet_id, d.event_id, e.kind, d.target_id, t.url, d.status, d.attempts, d.next_attempt_at,
       d.last_error, d.created_at, d.delivered_at
FROM am_credit_delivery d
JOIN am_credit_outbox e ON e.event_id = d.event_id AND e.wallet_id = d.wallet_id
LEFT JOIN am_credit_target t ON t.target_id = d.target_id
WHERE d.wallet_id = :wallet_id
  AND (CAST(:status AS TEXT) IS NULL OR d.status = :status)
  AND d.delivery_id < :before
ORDER BY d.delivery_id DESC
LIMIT :limit;

-- deliveries_of_all: the latest deliveries of all wallets
SELECT d.delivery_id, d.wallet_id, d.event_id, e.kind, d.target_id, t.url, d.status, d.attempts, d.next_attempt_at,
       d.last_error, d.created_at, d.delivered_at
FROM am_credit_delivery d
JOIN am_credit_outbox e ON e.event_id = d.event_id AND e.wallet_id = d.wallet_id
LEFT JOIN am_credit_target t ON t.target_id = d.target_id
WHERE d.delivery_id < :before
ORDER BY d.delivery_id DESC
LIMIT :limit;

-- deliveries_with_status: those of them with one status
SELECT d.delivery_id, d.wallet_id, d.event_id, e.kind, d.target_id, t.url, d.status, d.attempts, d.next_attempt_at,
       d.last_error, d.created_at, d.delivered_at
FROM am_credit_delivery d
JOIN am_credit_outbox e ON e.event_id = d.event_id AND e.wallet_id = d.wallet_id
LEFT JOIN am_credit_target t ON t.target_id = d.target_id
WHERE d.status = :status AND d.delivery_id < :before
ORDER BY d.delivery_id DESC
LIMIT :limit;

-- resend: send a delivery again now, with all its attempts before it
UPDATE am_credit_delivery SET status = 'pending', attempts = 0, next_attempt_at = :at
WHERE delivery_id = :delivery_id
  AND EXISTS (SELECT 1 FROM am_credit_target t
              WHERE t.target_id = am_credit_delivery.target_id AND t.stopped IS NULL)
RETURNING target_id, wallet_id;

-- resend_dead: the same for all that are dead
UPDATE am_credit_delivery SET status = 'pending', attempts = 0, next_attempt_at = :at
WHERE status = 'dead'
  AND EXISTS (SELECT 1 FROM am_credit_target t
              WHERE t.target_id = am_credit_delivery.target_id AND t.stopped IS NULL)
RETURNING target_id, wallet_id;

-- begin_anew: try a target at once, as if it had not failed
UPDATE am_credit_target SET due_at = :at, failures = 0, rests_until = CASE WHEN failures > 0 THEN '' ELSE rests_until END
WHERE target_id = :target_id;
