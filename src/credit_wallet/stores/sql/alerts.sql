-- The alert job. Statements named seed_… need migration 281 alone; the others need the whole schema.
-- A threshold is reached when spent * 100 >= budget * threshold, to the micro. The statements only leave out who cannot have
-- reached one, by spent_yen / threshold >= budget_yen / 100 in whole numbers, which holds then and never overflows.

-- columns_of_later_migrations: 0 with 281 alone, 4 with the whole schema (SQLite; others have the whole schema)
SELECT (SELECT count(*) FROM pragma_table_info('am_credit_wallet') WHERE name IN ('alerted_pct', 'alert_thresholds'))
       + (SELECT count(*) FROM pragma_table_info('am_credit_transaction_log') WHERE name IN ('cause', 'detail'));

-- wallets_scanned: how many wallets the job looks at
SELECT count(*) FROM am_credit_wallet WHERE enabled = 1 AND monthly_budget_yen > 0;

-- seed_reached: spending of a cycle by wallets at the first threshold of their budget or beyond, summed from the ledger
SELECT w.wallet_id, -sum(t.amount_yen), 0, w.monthly_budget_yen, '[]', 0
FROM am_credit_transaction_log t JOIN am_credit_wallet w ON w.wallet_id = t.wallet_id
WHERE t.txn_type = 'charge' AND t.occurred_at >= :cycle_start AND t.occurred_at < :cycle_end
  AND w.enabled = 1 AND w.monthly_budget_yen > 0
GROUP BY w.wallet_id
HAVING -sum(t.amount_yen) / :first_pct >= w.monthly_budget_yen / 100
ORDER BY w.wallet_id;

-- time_zones: the time zones that wallets keep their cycles in
SELECT DISTINCT time_zone FROM am_credit_wallet;

-- reached: the same from the wallets' rows, without those whose reached thresholds have all fired for this budget
SELECT wallet_id, spent_yen, spent_fraction, monthly_budget_yen, alert_thresholds, alerted_pct,
       -- known_pct: an alert of another budget says what share of this one was spent when it fired
       coalesce((SELECT max(CASE WHEN a.budget_yen = spending.monthly_budget_yen THEN a.threshold_pct
                                 ELSE a.spent_yen / spending.monthly_budget_yen * 100
                                      + a.spent_yen % spending.monthly_budget_yen * 100 / spending.monthly_budget_yen END)
                 FROM (SELECT wallet_id, billing_cycle, threshold_pct, spent_yen, budget_yen
                       FROM am_credit_spending_alert
                       UNION ALL
                       SELECT wallet_id, billing_cycle, threshold_pct, spent_yen, budget_yen
                       FROM am_credit_threshold_alert) AS a
                 WHERE a.wallet_id = spending.wallet_id AND a.billing_cycle = :cycle), 0)
FROM (SELECT wallet_id, cycle_spent_yen AS spent_yen, cycle_spent_fraction AS spent_fraction, monthly_budget_yen,
             alert_thresholds, alerted_pct
      FROM am_credit_wallet w
      WHERE current_cycle = :cycle AND time_zone = :time_zone AND enabled = 1 AND monthly_budget_yen > 0
        AND (monthly_budget_yen / 100 <= cycle_spent_yen /
             CASE WHEN alert_thresholds <> '[]' THEN alerted_pct + 1
                  WHEN alerted_pct < :first_pct THEN :first_pct WHEN alerted_pct < :second_pct THEN :second_pct
                  WHEN alerted_pct < :third_pct THEN :third_pct ELSE NULL END
             OR monthly_budget_yen / 100 <= cycle_spent_yen / CASE WHEN alert_thresholds <> '[]' THEN 1 ELSE :first_pct END
                AND (EXISTS (SELECT 1 FROM am_credit_spending_alert a
                             WHERE a.wallet_id = w.wallet_id AND a.billing_cycle = :cycle
                               AND a.budget_yen <> w.monthly_budget_yen)
                     OR EXISTS (SELECT 1 FROM am_credit_threshold_alert a
                                WHERE a.wallet_id = w.wallet_id AND a.billing_cycle = :cycle
                                  AND a.budget_yen <> w.monthly_budget_yen)))
      UNION ALL
      SELECT w.wallet_id, s.spent_yen, s.spent_fraction, w.monthly_budget_yen, w.alert_thresholds, 0
      FROM am_credit_cycle_spend s JOIN am_credit_wallet w ON w.wallet_id = s.wallet_id
      WHERE s.billing_cycle = :cycle AND s.key_id = 0 AND coalesce(w.current_cycle, '') <> :cycle
        AND w.time_zone = :time_zone AND w.enabled = 1 AND w.monthly_budget_yen > 0
        AND w.monthly_budget_yen / 100 <= s.spent_yen / CASE WHEN w.alert_thresholds <> '[]' THEN 1 ELSE :first_pct END
     ) AS spending;

-- reached_by_plain_sql: the same for wallets with charges that plain SQL wrote and that are not backfilled yet
SELECT wallet_id, spent_yen, spent_fraction, monthly_budget_yen, alert_thresholds, alerted_pct,
       -- known_pct: an alert of another budget says what share of this one was spent when it fired
       coalesce((SELECT max(CASE WHEN a.budget_yen = spending.monthly_budget_yen THEN a.threshold_pct
                                 ELSE a.spent_yen / spending.monthly_budget_yen * 100
                                      + a.spent_yen % spending.monthly_budget_yen * 100 / spending.monthly_budget_yen END)
                 FROM (SELECT wallet_id, billing_cycle, threshold_pct, spent_yen, budget_yen
                       FROM am_credit_spending_alert
                       UNION ALL
                       SELECT wallet_id, billing_cycle, threshold_pct, spent_yen, budget_yen
                       FROM am_credit_threshold_alert) AS a
                 WHERE a.wallet_id = spending.wallet_id AND a.billing_cycle = :cycle), 0)
FROM (SELECT w.wallet_id,
             -sum(t.amount_yen) + CASE WHEN w.current_cycle = :cycle THEN w.cycle_spent_yen ELSE coalesce(
                 (SELECT s.spent_yen FROM am_credit_cycle_spend s
                  WHERE s.billing_cycle = :cycle AND s.wallet_id = w.wallet_id AND s.key_id = 0), 0) END AS spent_yen,
             CASE WHEN w.current_cycle = :cycle THEN w.cycle_spent_fraction ELSE coalesce(
                 (SELECT s.spent_fraction FROM am_credit_cycle_spend s
                  WHERE s.billing_cycle = :cycle AND s.wallet_id = w.wallet_id AND s.key_id = 0), 0) END AS spent_fraction,
             w.monthly_budget_yen, w.alert_thresholds,
             CASE WHEN w.current_cycle = :cycle THEN w.alerted_pct ELSE 0 END AS alerted_pct
      FROM am_credit_transaction_log t JOIN am_credit_wallet w ON w.wallet_id = t.wallet_id
      WHERE t.prev_txn_id IS NULL AND t.txn_type = 'charge'
        AND replace(t.occurred_at, ' ', 'T') >= :cycle_start AND replace(t.occurred_at, ' ', 'T') < :cycle_end
        AND w.time_zone = :time_zone AND w.enabled = 1 AND w.monthly_budget_yen > 0
      GROUP BY w.wallet_id
     ) AS spending;

-- has_fired: whether a threshold has fired in a cycle
SELECT count(*) FROM am_credit_spending_alert
WHERE wallet_id = :wallet_id AND threshold_pct = :threshold_pct AND billing_cycle = :billing_cycle;

-- fire: record that a threshold fired, unless it has in this cycle
INSERT INTO am_credit_spending_alert (wallet_id, threshold_pct, billing_cycle, fired_at, spent_yen, budget_yen)
VALUES (:wallet_id, :threshold_pct, :billing_cycle, :fired_at, :spent_yen, :budget_yen)
ON CONFLICT (wallet_id, threshold_pct, billing_cycle) DO NOTHING
RETURNING alert_id;

-- has_fired_own: whether a threshold of a wallet's own has fired in a cycle
SELECT count(*) FROM am_credit_threshold_alert
WHERE wallet_id = :wallet_id AND threshold_pct = :threshold_pct AND billing_cycle = :billing_cycle;

-- fire_own: the same as fire for a threshold of a wallet's own
INSERT INTO am_credit_threshold_alert (wallet_id, threshold_pct, billing_cycle, fired_at, spent_yen, budget_yen)
VALUES (:wallet_id, :threshold_pct, :billing_cycle, :fired_at, :spent_yen, :budget_yen)
ON CONFLICT (wallet_id, threshold_pct, billing_cycle) DO NOTHING
RETURNING alert_id;

-- note_fired: let the wallet's row know
UPDATE am_credit_wallet SET alerted_pct = :threshold_pct
WHERE wallet_id = :wallet_id AND current_cycle = :billing_cycle AND alerted_pct < :threshold_pct;

-- emit_for_another_budget: put the event of an alert into the outbox for a threshold that has fired when the budget was another
INSERT INTO am_credit_outbox (wallet_id, kind, payload, dedupe_key, occurred_at, handed_out)
SELECT wallet_id, :kind, :payload, :dedupe_key, :at, 0
FROM am_credit_spending_alert
WHERE wallet_id = :wallet_id AND threshold_pct = :threshold_pct AND billing_cycle = :billing_cycle
  AND budget_yen <> :budget_yen
ON CONFLICT DO NOTHING;

-- emit_for_another_budget_own: the same for a threshold of a wallet's own
INSERT INTO am_credit_outbox (wallet_id, kind, payload, dedupe_key, occurred_at, handed_out)
SELECT wallet_id, :kind, :payload, :dedupe_key, :at, 0
FROM am_credit_threshold_alert
WHERE wallet_id = :wallet_id AND threshold_pct = :threshold_pct AND billing_cycle = :billing_cycle
  AND budget_yen <> :budget_yen
ON CONFLICT DO NOTHING;
