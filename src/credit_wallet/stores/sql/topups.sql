-- What the rail loads and writes of top-ups and payers. The statements run unchanged on every database.

-- topup: a top-up
SELECT topup_id, wallet_id, amount_yen, origin, way AS flow, status, processing, payment_intent, checkout_session,
       told_at AS observed_at, received_yen, takings AS clawbacks, credited_yen, reversed_yen, credit_txn_id, reason,
       action_url, created_at, offer
FROM am_credit_topup
WHERE topup_id = :topup_id;

-- topups_of_payment: a wallet's top-ups that a payment belongs to
SELECT topup_id, wallet_id, amount_yen, origin, way AS flow, status, processing, payment_intent, checkout_session,
       told_at AS observed_at, received_yen, takings AS clawbacks, credited_yen, reversed_yen, credit_txn_id, reason,
       action_url, created_at, offer
FROM am_credit_topup
WHERE payment_intent = :payment_intent AND wallet_id = :wallet_id;

-- open_topups: a wallet's top-ups that are not final
SELECT topup_id, wallet_id, amount_yen, origin, way AS flow, status, processing, payment_intent, checkout_session,
       told_at AS observed_at, received_yen, takings AS clawbacks, credited_yen, reversed_yen, credit_txn_id, reason,
       action_url, created_at, offer
FROM am_credit_topup
WHERE wallet_id = :wallet_id AND status IN ('requested', 'pending', 'requires_action', 'succeeded');

-- put_topup: insert a top-up, or update it
INSERT INTO am_credit_topup (topup_id, wallet_id, amount_yen, origin, way, status, processing, payment_intent,
                             checkout_session, told_at, received_yen, takings, credited_yen, reversed_yen,
                             credit_txn_id, reason, action_url, created_at, updated_at, offer)
VALUES (:topup_id, :wallet_id, :amount_yen, :origin, :flow, :status, :processing, :payment_intent, :checkout_session,
        :observed_at, :received_yen, :clawbacks, :credited_yen, :reversed_yen, :credit_txn_id, :reason, :action_url,
        :created_at, :at, :offer)
ON CONFLICT (topup_id, wallet_id) DO UPDATE
SET status = excluded.status, processing = excluded.processing, payment_intent = excluded.payment_intent,
    checkout_session = excluded.checkout_session, told_at = excluded.told_at, received_yen = excluded.received_yen,
    takings = excluded.takings, credited_yen = excluded.credited_yen, reversed_yen = excluded.reversed_yen,
    credit_txn_id = excluded.credit_txn_id, reason = excluded.reason, action_url = excluded.action_url,
    updated_at = excluded.updated_at;

-- put_step: a line of a top-up's history
INSERT INTO am_credit_topup_history (topup_id, wallet_id, status, received_yen, taken_yen, reason, occurred_at)
VALUES (:topup_id, :wallet_id, :status, :received_yen, :clawed_back_yen, :reason, :at);

-- auto_topped_up: what automatic top-ups have brought today and this month, and how many there were in an hour
SELECT coalesce(sum(CASE WHEN created_at >= :today THEN amount_yen ELSE 0 END), 0),
       coalesce(sum(CASE WHEN created_at >= :month THEN amount_yen ELSE 0 END), 0),
       coalesce(sum(CASE WHEN created_at >= :own_today THEN amount_yen ELSE 0 END), 0),
       coalesce(sum(CASE WHEN created_at >= :own_month THEN amount_yen ELSE 0 END), 0),
       coalesce(sum(CASE WHEN created_at >= :hour_ago THEN 1 ELSE 0 END), 0)
FROM am_credit_topup
WHERE wallet_id = :wallet_id AND created_at >= :since AND origin = 'auto' AND status NOT IN ('failed', 'canceled');

-- lock_pay_backs: lock the ledger's row, after the wallets' rows, so that pay-backs are decided one at a time
UPDATE am_credit_installation SET installation_id = installation_id;

-- paid_back: yen paid back from all wallets since :start
SELECT CAST(coalesce(-sum(amount_yen), 0) AS BIGINT) FROM am_credit_transaction_log
WHERE cause IN ('pay_back', 'pay_back_failed') AND occurred_at >= :start;

-- payer: the saved payment method for a wallet's automatic top-ups
SELECT wallet_id, customer, payment_method, failures, retry_at, stopped, reason
FROM am_credit_payer
WHERE wallet_id = :wallet_id;

-- put_payer: the same, new or changed
INSERT INTO am_credit_payer (wallet_id, customer, payment_method, failures, retry_at, stopped, reason, updated_at)
VALUES (:wallet_id, :customer, :payment_method, :failures, :retry_at, :stopped, :reason, :at)
ON CONFLICT (wallet_id) DO UPDATE
SET customer = excluded.customer, payment_method = excluded.payment_method, failures = excluded.failures,
    retry_at = excluded.retry_at, stopped = excluded.stopped, reason = excluded.reason, updated_at = excluded.updated_at;
