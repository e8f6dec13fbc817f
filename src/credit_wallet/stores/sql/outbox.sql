-- Events. They run unchanged on every database.

-- put_event: put an event into the outbox, unless the wallet's outbox has one with the same dedupe key
INSERT INTO am_credit_outbox (wallet_id, kind, payload, dedupe_key, occurred_at, handed_out)
VALUES (:wallet_id, :kind, :payload, :dedupe_key, :at, 0)
ON CONFLICT DO NOTHING;
