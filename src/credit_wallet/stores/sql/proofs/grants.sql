-- Grants, and consents to automatic top-ups.

-- grants: an occurrence of a grant was credited by an entry that brought its amount, or lapsed without one
SELECT o.wallet_id, exact(coalesce(g.amount_yen, 0), coalesce(g.amount_fraction, 0)),
       exact(coalesce(e.amount_yen, 0), coalesce(beyond(e), 0)), 'yen'
FROM am_credit_grant_occurrence o
LEFT JOIN am_credit_grant g ON g.wallet_id = o.wallet_id AND g.grant_id = o.grant_id
LEFT JOIN am_credit_transaction_log e
       ON e.txn_id = o.txn_id AND e.wallet_id = o.wallet_id AND e.txn_type = 'topup' AND e.cause = 'grant'
WHERE g.grant_id IS NULL
   OR CASE WHEN o.status = 'credited' THEN e.txn_id IS NULL OR exact(e.amount_yen, beyond(e)) <> exact(g.amount_yen, g.amount_fraction)
           ELSE o.txn_id IS NOT NULL END;

-- grant_entries: an entry credits one occurrence of one grant
SELECT wallet_id, 1, count(*)
FROM am_credit_grant_occurrence
WHERE txn_id IS NOT NULL
GROUP BY wallet_id, txn_id
HAVING count(*) > 1;

-- grant_lots: credit of a grant is of the grant's kind, and lapses when its occurrence says
SELECT o.wallet_id, g.kind || ' until ' || coalesce(o.lapses_at, 'ever'), l.kind || ' until ' || coalesce(l.expires_at, 'ever')
FROM am_credit_grant_occurrence o
JOIN am_credit_grant g ON g.wallet_id = o.wallet_id AND g.grant_id = o.grant_id
JOIN am_credit_lot l ON l.wallet_id = o.wallet_id AND l.lot_id = o.txn_id
WHERE l.kind <> g.kind OR l.expires_at IS DISTINCT FROM o.lapses_at;

-- grant_progress: what was due of a grant is on record without a gap, and the grant continues after that
SELECT g.wallet_id, coalesce(o.last, -1) + 1, g.next_occurrence
FROM am_credit_grant g
LEFT JOIN (SELECT wallet_id, grant_id, max(occurrence) AS last, count(*) AS came
           FROM am_credit_grant_occurrence GROUP BY wallet_id, grant_id) o
       ON o.wallet_id = g.wallet_id AND o.grant_id = g.grant_id
WHERE coalesce(o.last, -1) + 1 <> g.next_occurrence OR coalesce(o.came, 0) <> g.next_occurrence;

-- consents: every consent to automatic top-ups is on record
SELECT coalesce(w.wallet_id, c.wallet_id), coalesce(w.auto_topup_consents, 0), coalesce(c.found, 0)
FROM am_credit_wallet w
FULL JOIN (SELECT wallet_id, max(consent_no) AS last, count(*) AS found
           FROM am_credit_auto_topup_consent GROUP BY wallet_id) c ON c.wallet_id = w.wallet_id
WHERE w.auto_topup_consents <> coalesce(c.found, 0) OR c.last <> c.found OR w.wallet_id IS NULL;

-- consented: automatic top-ups are set to what was agreed to last
SELECT w.wallet_id, c.threshold || ' by ' || c.amount || ', ' || c.daily_yen || ' a day, ' || c.monthly_yen || ' a month',
       w.auto_topup_threshold || ' by ' || w.auto_topup_amount || ', ' || w.auto_topup_daily_yen || ' a day, '
       || w.auto_topup_monthly_yen || ' a month'
FROM am_credit_wallet w
JOIN am_credit_auto_topup_consent c ON c.wallet_id = w.wallet_id AND c.consent_no = w.auto_topup_consents
WHERE c.threshold <> w.auto_topup_threshold OR c.amount <> w.auto_topup_amount
   OR w.auto_topup_threshold > 0
      AND (c.daily_yen <> w.auto_topup_daily_yen OR c.monthly_yen <> w.auto_topup_monthly_yen);
