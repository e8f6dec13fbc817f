-- What PostgreSQL says otherwise than ../budget_reads.sql: how it reads JSON.

-- budgets_found: a wallet's budgets by their anchors, given as JSON
SELECT budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone,
       week_start, raised_whole, raised_fraction, raised_until, created_at
FROM am_credit_budget
WHERE wallet_id = :wallet_id AND deleted_at IS NULL
  AND anchor = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:anchors AS JSONB))));

-- used: of budgets in their current windows, given as JSON, what the fullest value has spent and holds, how many values
-- there are, and what was refused of all of them. What has left a rolling window is what its steps say since its row was
-- written, up to an instant; the clock may also have stepped back
WITH asked AS (
    SELECT CAST(given.value ->> 'budget_id' AS BIGINT) AS budget_id, given.value ->> 'window_start' AS window_start,
           given.value ->> 'left_at' AS left_at, given.value ->> 'value' AS only_value
    FROM jsonb_array_elements(CAST(:asked AS JSONB)) AS given (value)),
counted AS (
    SELECT s.budget_id, s.value, s.spent, s.spent_fraction, s.refused, s.refused_fraction, s.refusals, s.counted_from,
           s.last_at, a.left_at, coalesce(h.held, 0) AS held, coalesce(h.held_fraction, 0) AS held_fraction
    FROM asked a
    JOIN am_credit_budget_spent s
      ON s.wallet_id = :wallet_id AND s.budget_id = a.budget_id AND s.window_start = a.window_start
     AND (a.only_value IS NULL OR s.value = a.only_value)
    LEFT JOIN am_credit_budget_held h
      ON h.wallet_id = s.wallet_id AND h.budget_id = s.budget_id AND h.value = s.value
    UNION ALL
    SELECT h.budget_id, h.value, 0, 0, 0, 0, 0, NULL, NULL, a.left_at, h.held, h.held_fraction
    FROM asked a
    JOIN am_credit_budget_held h
      ON h.wallet_id = :wallet_id AND h.budget_id = a.budget_id AND (a.only_value IS NULL OR h.value = a.only_value)
    WHERE NOT EXISTS (SELECT 1 FROM am_credit_budget_spent s
                      WHERE s.wallet_id = h.wallet_id AND s.budget_id = h.budget_id
                        AND s.window_start = a.window_start AND s.value = h.value)),
moved AS (
    SELECT c.budget_id, c.value, sum(CASE WHEN t.at > c.counted_from THEN -t.spent ELSE t.spent END) AS spent,
           sum(CASE WHEN t.at > c.counted_from THEN -t.spent_fraction ELSE t.spent_fraction END) AS spent_fraction
    FROM counted c
    JOIN am_credit_budget_step t
      ON t.wallet_id = :wallet_id AND t.budget_id = c.budget_id AND t.value = c.value
     AND ((t.at > c.counted_from AND t.at <= c.left_at) OR (t.at > c.left_at AND t.at <= c.counted_from))
    WHERE c.counted_from IS NOT NULL
    GROUP BY c.budget_id, c.value),
used AS (
    SELECT c.*, c.spent + coalesce(m.spent, 0) AS spent_now, c.spent_fraction + coalesce(m.spent_fraction, 0) AS beyond,
           CASE WHEN c.counted_from IS NULL OR c.last_at > c.left_at OR c.held + c.held_fraction > 0 THEN 1 ELSE 0
           END AS counts
    FROM counted c
    LEFT JOIN moved m ON m.budget_id = c.budget_id AND m.value = c.value)
SELECT budget_id, value, spent_now, beyond, held, held_fraction, last_at, value_count, all_refused, all_refused_fraction,
       all_refusals, fullest
FROM (SELECT u.*, sum(counts) OVER each_budget AS value_count, sum(refused) OVER each_budget AS all_refused,
             sum(refused_fraction) OVER each_budget AS all_refused_fraction, sum(refusals) OVER each_budget AS all_refusals,
             row_number() OVER (each_budget ORDER BY fullest DESC, value) AS place
      FROM (SELECT used.*, CAST(spent_now + held AS NUMERIC) * 1000000 + beyond + held_fraction AS fullest FROM used) u
      WINDOW each_budget AS (PARTITION BY budget_id)) AS placed
WHERE place = 1;
