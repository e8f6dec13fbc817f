-- Reads, all of them outside the rail. They run unchanged on every database.
-- An amount is in two columns, whole yen and the micros beyond them: together they may be more than a column holds.

-- wallet: a wallet as its owner sees it
SELECT w.wallet_id, label, balance_yen, balance_fraction, balance_yen + held_yen AS ledger_yen, ledger_fraction, debt_yen,
       debt_fraction, auto_topup_threshold, auto_topup_amount, monthly_budget_yen, budget_mode, time_zone, current_cycle,
       cycle_spent_yen, cycle_spent_fraction, enabled, w.created_at, next_due_at, last_txn_id, low_balance_yen,
       alert_thresholds, price_group, budget_kinds, auto_topup_daily_yen, auto_topup_monthly_yen, auto_topup_consents,
       frozen_at, frozen_reason, frozen_note, closing_at, closed_at, merged_into, p.reference, p.metadata, p.token_prefix
FROM am_credit_wallet w LEFT JOIN am_credit_profile p ON p.wallet_id = w.wallet_id AND p.key_id = 0
WHERE w.wallet_id = :wallet_id;

-- wallets: a page of wallets, by id
SELECT w.wallet_id, label, balance_yen, balance_fraction, balance_yen + held_yen AS ledger_yen, ledger_fraction, debt_yen,
       debt_fraction, auto_topup_threshold, auto_topup_amount, monthly_budget_yen, budget_mode, time_zone, current_cycle,
       cycle_spent_yen, cycle_spent_fraction, enabled, w.created_at, next_due_at, last_txn_id, low_balance_yen,
       alert_thresholds, price_group, budget_kinds, auto_topup_daily_yen, auto_topup_monthly_yen, auto_topup_consents,
       frozen_at, frozen_reason, frozen_note, closing_at, closed_at, merged_into, p.reference, p.metadata, p.token_prefix
FROM am_credit_wallet w LEFT JOIN am_credit_profile p ON p.wallet_id = w.wallet_id AND p.key_id = 0
WHERE w.wallet_id > :after
ORDER BY w.wallet_id
LIMIT :limit;

-- openings: wallets that had credit when they were backfilled which no entry explains, or lacked some
SELECT wallet_id, opening_yen FROM am_credit_wallet WHERE opening_yen <> 0 ORDER BY wallet_id;

-- cycles_spent: spending of some wallets in a cycle that their rows have left
SELECT wallet_id, spent_yen, spent_fraction
FROM am_credit_cycle_spend
WHERE billing_cycle = :cycle AND wallet_id IN ({ids}) AND key_id = 0;

-- keys: a page of a wallet's agent keys, by id, with what each has spent in :cycle
SELECT k.key_id, k.wallet_id, k.label, k.monthly_cap_yen,
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END,
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_fraction ELSE coalesce(s.spent_fraction, 0) END,
       k.held_yen, k.held_fraction, k.created_at, k.expires_at, k.revoked_at, k.key_group, k.scopes, p.reference,
       p.metadata, p.token_prefix
FROM am_credit_key k
LEFT JOIN am_credit_profile p ON p.wallet_id = k.wallet_id AND p.key_id = k.key_id
LEFT JOIN am_credit_cycle_spend s ON s.billing_cycle = :cycle AND s.wallet_id = k.wallet_id AND s.key_id = k.key_id
WHERE k.wallet_id = :wallet_id AND k.key_id > :after
ORDER BY k.key_id
LIMIT :limit;

-- keys_before: the same, the newest first
SELECT k.key_id, k.wallet_id, k.label, k.monthly_cap_yen,
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END,
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_fraction ELSE coalesce(s.spent_fraction, 0) END,
       k.held_yen, k.held_fraction, k.created_at, k.expires_at, k.revoked_at, k.key_group, k.scopes, p.reference,
       p.metadata, p.token_prefix
FROM am_credit_key k
LEFT JOIN am_credit_profile p ON p.wallet_id = k.wallet_id AND p.key_id = k.key_id
LEFT JOIN am_credit_cycle_spend s ON s.billing_cycle = :cycle AND s.wallet_id = k.wallet_id AND s.key_id = k.key_id
WHERE k.wallet_id = :wallet_id AND k.key_id > :after AND k.key_id < :before
ORDER BY k.key_id DESC
LIMIT :limit;

-- key: one agent key, likewise
SELECT k.key_id, k.wallet_id, k.label, k.monthly_cap_yen,
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_yen ELSE coalesce(s.spent_yen, 0) END,
       CASE WHEN k.current_cycle = :cycle THEN k.cycle_spent_fraction ELSE coalesce(s.spent_fraction, 0) END,
       k.held_yen, k.held_fraction, k.created_at, k.expires_at, k.revoked_at, k.key_group, k.scopes, p.reference,
       p.metadata, p.token_prefix
FROM am_credit_key k
LEFT JOIN am_credit_profile p ON p.wallet_id = k.wallet_id AND p.key_id = k.key_id
LEFT JOIN am_credit_cycle_spend s ON s.billing_cycle = :cycle AND s.wallet_id = k.wallet_id AND s.key_id = k.key_id
WHERE k.wallet_id = :wallet_id AND k.key_id = :key_id;

-- hold: a hold and its state
SELECT hold_id, wallet_id, key_id, amount_yen, amount_fraction, captured_yen, captured_fraction, status, created_at,
       expires_at
FROM am_credit_hold
WHERE hold_id = :hold_id;

-- wallet_of_entry: whose ledger entry it is
SELECT wallet_id FROM am_credit_transaction_log WHERE txn_id = :txn_id;

-- transaction: a ledger entry, and what was refunded or reversed of it
SELECT e.txn_id, e.wallet_id, e.amount_yen, e.txn_type, e.occurred_at, e.note, e.ledger_balance_yen, e.key_id,
       e.related_txn_id, e.hold_id, e.cause, CAST(e.detail AS TEXT), coalesce(r.returned_yen, 0), coalesce(r.returned_fraction, 0)
FROM am_credit_transaction_log e
LEFT JOIN am_credit_returned r ON r.wallet_id = e.wallet_id AND r.txn_id = e.txn_id
WHERE e.txn_id = :txn_id;

-- cycle_segments: where a wallet's segments of a cycle end, after which entry they begin, and what they changed, oldest
-- first; a row of NULLs when there are none. With them what the wallet started with and what the segments of all earlier cycles changed, so that
-- both are of the same moment. The open segment ends at the row's last entry and is of its current cycle. Segments of no
-- month, since plain SQL wrote a time that is none, count as earlier than any, or months would not tie
WITH ends (segment_no, last_txn_id, billing_cycle, closing_yen, closing_fraction) AS (
    SELECT segment_no, last_txn_id, billing_cycle, closing_yen, closing_fraction
    FROM am_credit_cycle_segment WHERE wallet_id = :wallet_id
    UNION ALL
    SELECT 9223372036854775807, w.last_txn_id, w.current_cycle, e.ledger_balance_yen,
           coalesce(CAST(e.detail ->> 'fraction' AS BIGINT), 0)
    FROM am_credit_wallet w
    JOIN am_credit_transaction_log e ON e.txn_id = w.last_txn_id AND e.wallet_id = w.wallet_id
    WHERE w.wallet_id = :wallet_id
), segment (segment_no, last_txn_id, billing_cycle, after_txn_id, net_yen, net_fraction) AS (
    SELECT e.segment_no, e.last_txn_id, e.billing_cycle,
           lag(e.last_txn_id, 1, CAST(0 AS BIGINT)) OVER (ORDER BY e.segment_no),
           e.closing_yen - lag(e.closing_yen, 1, w.opening_yen) OVER (ORDER BY e.segment_no),
           e.closing_fraction - lag(e.closing_fraction, 1, CAST(0 AS BIGINT)) OVER (ORDER BY e.segment_no)
    FROM ends e CROSS JOIN (SELECT opening_yen FROM am_credit_wallet WHERE wallet_id = :wallet_id) AS w
), opening (yen, fraction) AS (
    SELECT w.opening_yen + coalesce(sum(s.net_yen), 0), coalesce(sum(s.net_fraction), 0)
    FROM am_credit_wallet w
    LEFT JOIN segment s ON s.billing_cycle < :cycle OR s.billing_cycle NOT LIKE '____-__'
                        OR substr(s.billing_cycle, 1, 4) NOT BETWEEN '1000' AND '9998'
                        OR substr(s.billing_cycle, 6) NOT IN ('01', '02', '03', '04', '05', '06', '07', '08', '09', '10',
                                                              '11', '12')
    WHERE w.wallet_id = :wallet_id
    GROUP BY w.opening_yen
)
SELECT o.yen, o.fraction, s.last_txn_id, s.after_txn_id, s.net_yen, s.net_fraction
FROM opening o
LEFT JOIN segment s ON s.billing_cycle = :cycle AND s.last_txn_id <> s.after_txn_id
ORDER BY s.segment_no;

-- stretch: up to :limit of a wallet's entries from :start back to the one after :after, oldest first; a refund with the
-- key, the note and the item of the charge that it refunds. The entry before them comes with each, to go on from
WITH RECURSIVE chain AS (
    SELECT e.*, 1 AS step FROM am_credit_transaction_log e WHERE txn_id = :start AND wallet_id = :wallet_id
    UNION ALL
    SELECT e.*, c.step + 1 FROM chain c
    JOIN am_credit_transaction_log e ON e.txn_id = c.prev_txn_id AND e.wallet_id = c.wallet_id
    WHERE c.prev_txn_id <> :after AND c.step < :limit
)
SELECT c.txn_id, c.wallet_id, c.amount_yen, c.txn_type, c.occurred_at, c.note, c.ledger_balance_yen, c.key_id,
       c.related_txn_id, c.hold_id, c.cause, CAST(c.detail AS TEXT), c.prev_txn_id, paid.key_id, paid.note,
       paid.detail ->> 'item'
FROM chain c
LEFT JOIN am_credit_transaction_log paid
       ON c.txn_type = 'refund' AND paid.txn_id = c.related_txn_id AND paid.wallet_id = c.wallet_id
      AND paid.txn_type = 'charge'
ORDER BY c.step DESC;

-- alerts: the alerts of a wallet, newest first, of one cycle or of all
SELECT threshold_pct, billing_cycle, spent_yen, budget_yen
FROM (SELECT wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen, fired_at FROM am_credit_spending_alert
      UNION ALL
      SELECT wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen, fired_at
      FROM am_credit_threshold_alert) AS fired
WHERE wallet_id = :wallet_id AND (CAST(:cycle AS TEXT) IS NULL OR billing_cycle = :cycle)
ORDER BY fired_at DESC, billing_cycle DESC, threshold_pct DESC;

-- lots: a wallet's open lots in spending order, as JSON
SELECT open_lots FROM am_credit_wallet WHERE wallet_id = :wallet_id;

-- expired_lots: a wallet's lots that expired lately and the events that say how much was left of them
SELECT l.lot_id, l.kind, l.expires_at, e.payload
FROM am_credit_lot l
JOIN am_credit_outbox e ON e.wallet_id = l.wallet_id
                       AND e.dedupe_key = 'credit.expired ' || CAST(l.lot_id AS TEXT)
WHERE l.wallet_id = :wallet_id AND l.expires_at > :since AND l.expires_at <= :until
ORDER BY l.expires_at DESC, l.lot_id DESC
LIMIT :limit;

-- due: wallets with holds or lots that have expired
SELECT wallet_id FROM am_credit_wallet WHERE next_due_at <= :at ORDER BY next_due_at LIMIT :limit;

-- due_between: the same among wallets with neighbouring ids
SELECT wallet_id FROM am_credit_wallet
WHERE wallet_id > :after AND wallet_id <= :last AND next_due_at <= :at
ORDER BY wallet_id;

-- first_credit: when a wallet's first lot came in; NULL when that is a balance that no entry brought
SELECT e.occurred_at
FROM am_credit_lot l
LEFT JOIN am_credit_transaction_log e ON e.txn_id = l.lot_id AND e.wallet_id = l.wallet_id
WHERE l.wallet_id = :wallet_id
ORDER BY l.lot_id
LIMIT 1;

-- oldest_of_cycle: the earliest date among a wallet's last :steps entries, as far as they are of the cycle
WITH RECURSIVE chain AS (
    SELECT txn_id, wallet_id, prev_txn_id, replace(occurred_at, ' ', 'T') AS occurred_at, 1 AS step
    FROM am_credit_transaction_log WHERE txn_id = :start AND wallet_id = :wallet_id
    UNION ALL
    SELECT e.txn_id, e.wallet_id, e.prev_txn_id, replace(e.occurred_at, ' ', 'T'), c.step + 1
    FROM chain c JOIN am_credit_transaction_log e ON e.txn_id = c.prev_txn_id AND e.wallet_id = c.wallet_id
    WHERE c.occurred_at >= :cycle_start AND c.step < :steps
)
SELECT min(occurred_at) FROM chain WHERE occurred_at >= :cycle_start;

-- totals: sums over all wallets
SELECT count(*), coalesce(sum(balance_yen), 0), coalesce(sum(balance_fraction), 0),
       coalesce(sum(balance_yen + held_yen), 0), coalesce(sum(ledger_fraction), 0), coalesce(sum(debt_yen), 0),
       coalesce(sum(debt_fraction), 0)
FROM am_credit_wallet;

-- label_and_cap: label and monthly cap of an agent key
SELECT label, monthly_cap_yen FROM am_credit_key WHERE key_id = :key_id;

-- key_owner: whose agent key it is
SELECT wallet_id FROM am_credit_key WHERE key_id = :key_id;

-- newest_entry_at: when the last entry was written
SELECT occurred_at FROM am_credit_transaction_log ORDER BY txn_id DESC LIMIT 1;

-- topup: a top-up as its owner sees it
SELECT topup_id, wallet_id, amount_yen, origin, way AS flow, status, payment_intent, checkout_session, received_yen,
       credited_yen, reversed_yen, credit_txn_id, reason, action_url, created_at, updated_at,
       offer, takings AS clawbacks
FROM am_credit_topup
WHERE topup_id = :topup_id;

-- topups: a wallet's top-ups, newest first, with one status or any
SELECT topup_id, wallet_id, amount_yen, origin, way AS flow, status, payment_intent, checkout_session, received_yen,
       credited_yen, reversed_yen, credit_txn_id, reason, action_url, created_at, updated_at,
       offer, takings AS clawbacks
FROM am_credit_topup
WHERE wallet_id = :wallet_id
  AND (CAST(:status AS TEXT) IS NULL OR status = :status)
  AND (created_at, topup_id) < (:created_at, :topup_id)
ORDER BY created_at DESC, topup_id DESC
LIMIT :limit;

-- topups_of_all: the top-ups of all wallets, newest first
SELECT topup_id, wallet_id, amount_yen, origin, way AS flow, status, payment_intent, checkout_session, received_yen,
       credited_yen, reversed_yen, credit_txn_id, reason, action_url, created_at, updated_at,
       offer, takings AS clawbacks
FROM am_credit_topup
WHERE (created_at, topup_id) < (:created_at, :topup_id)
ORDER BY created_at DESC, topup_id DESC
LIMIT :limit;

-- topups_with_status: those of them with one status
SELECT topup_id, wallet_id, amount_yen, origin, way AS flow, status, payment_intent, checkout_session, received_yen,
       credited_yen, reversed_yen, credit_txn_id, reason, action_url, created_at, updated_at,
       offer, takings AS clawbacks
FROM am_credit_topup
WHERE status = :status AND (created_at, topup_id) < (:created_at, :topup_id)
ORDER BY created_at DESC, topup_id DESC
LIMIT :limit;

-- topup_of_payment: the top-up that a payment of the provider belongs to
SELECT topup_id, wallet_id FROM am_credit_topup WHERE payment_intent = :payment_intent;

-- unsettled_topups: top-ups without a report since :before, the longest waiting first
SELECT topup_id, wallet_id, amount_yen, origin, way AS flow, status, payment_intent, checkout_session, received_yen,
       credited_yen, reversed_yen, credit_txn_id, reason, action_url, created_at, updated_at,
       offer, takings AS clawbacks
FROM am_credit_topup
WHERE status IN ('requested', 'pending', 'requires_action', 'succeeded') AND updated_at < :before
ORDER BY updated_at
LIMIT :limit;

-- topup_steps: the history of a top-up's status, oldest first
SELECT status, received_yen, taken_yen AS clawed_back_yen, reason, occurred_at
FROM am_credit_topup_history
WHERE topup_id = :topup_id
ORDER BY event_id;

-- abandoned: purchases that were neither served nor undone since :before, the longest waiting first
SELECT purchase_key, wallet_id, attempt, actor
FROM am_credit_purchase
WHERE status = 'running' AND lease_until < :before
ORDER BY lease_until
LIMIT :limit;

-- installation_id: the random name of this ledger
SELECT installation_id FROM am_credit_installation;

-- last_txn_id: the id of the last entry
SELECT coalesce(max(txn_id), 0) FROM am_credit_transaction_log;

-- openings_total: what all wallets had when they were taken over that no entry explains
SELECT coalesce(sum(opening_yen), 0) FROM am_credit_wallet;

-- issued: paid credit that came in from :start to before :end, among some entries, less what of it was taken back
-- because nobody had paid it; reinstated credit was issued before
-- Here as below, an entry's exact amount is less than a yen away from what it adds to the whole yen of the balance, so
-- those differences can be added up apart.
SELECT coalesce(sum(e.amount_yen), 0), coalesce(sum(CASE WHEN e.prev_txn_id IS NULL THEN NULL
       WHEN e.detail ->> 'micros' IS NOT NULL
       THEN CAST(e.detail ->> 'micros' AS BIGINT) - e.amount_yen * 1000000 END), 0)
FROM am_credit_transaction_log e
JOIN am_credit_lot l ON l.wallet_id = e.wallet_id
                    AND l.lot_id = CASE e.txn_type WHEN 'topup' THEN e.txn_id ELSE e.related_txn_id END
WHERE e.txn_id > :after AND e.txn_id <= :last AND l.kind = 'paid'
  AND (e.txn_type = 'topup' OR e.txn_type = 'reversal' AND e.cause = 'adjustment')
  AND e.occurred_at >= :start AND e.occurred_at < :end
  AND CASE WHEN e.cause IS NOT NULL THEN e.cause NOT IN ('reinstatement', 'pay_back_failed', 'transfer_in', 'transfer_returned')
           ELSE substr(coalesce(e.note, ''), 1, length(:again)) <> :again
                AND substr(coalesce(e.note, ''), 1, length(:unpaid)) <> :unpaid END;

-- unused: what some entries before :end left, open holds included, and what was on its way between wallets: what leaves one
-- comes in to another or returns, so without either it is unused all the time
SELECT coalesce(sum(amount_yen), 0), coalesce(sum(CASE WHEN prev_txn_id IS NULL THEN NULL
       WHEN detail ->> 'micros' IS NOT NULL
       THEN CAST(detail ->> 'micros' AS BIGINT) - amount_yen * 1000000 END), 0)
FROM am_credit_transaction_log
WHERE txn_id > :after AND txn_id <= :last AND occurred_at < :end
  AND (cause IS NULL OR cause NOT IN ('transfer_out', 'transfer_in', 'transfer_returned'));

-- paid_back: credit that was taken out since :start to be paid back, less what was not, by entries that name their cause
SELECT coalesce(-sum(amount_yen), 0), -coalesce(sum(CASE WHEN prev_txn_id IS NULL THEN NULL
       WHEN detail ->> 'micros' IS NOT NULL
       THEN CAST(detail ->> 'micros' AS BIGINT) - amount_yen * 1000000 END), 0)
FROM am_credit_transaction_log
WHERE cause IN ('pay_back', 'pay_back_failed') AND occurred_at >= :start;

-- paid_back_without_cause: the same among some entries that do not, as before 294
SELECT coalesce(-sum(amount_yen), 0), -coalesce(sum(CASE WHEN prev_txn_id IS NULL THEN NULL
       WHEN detail ->> 'micros' IS NOT NULL
       THEN CAST(detail ->> 'micros' AS BIGINT) - amount_yen * 1000000 END), 0)
FROM am_credit_transaction_log
WHERE txn_id > :after AND txn_id <= :last AND occurred_at >= :start AND cause IS NULL
  AND ((txn_type = 'reversal' AND substr(note, 1, length(:mark)) = :mark)
       OR (txn_type = 'topup' AND substr(note, 1, length(:unpaid)) = :unpaid));

-- payer: the saved payment method for a wallet's automatic top-ups
SELECT wallet_id, customer, payment_method, failures, retry_at, stopped, reason
FROM am_credit_payer
WHERE wallet_id = :wallet_id;

-- topups_due: wallets below their threshold whose automatic top-ups do not wait for a person or a later time
SELECT d.wallet_id
FROM v_credit_wallet_topup_due d LEFT JOIN am_credit_payer p ON p.wallet_id = d.wallet_id
WHERE d.wallet_id > :after AND coalesce(p.stopped, 0) = 0 AND (p.retry_at IS NULL OR p.retry_at <= :at)
ORDER BY d.wallet_id
LIMIT :limit;
