-- Names kinds of events as before 295.

CREATE TABLE am_credit_event_kind (was TEXT COLLATE "C" PRIMARY KEY, kind TEXT COLLATE "C" NOT NULL);
INSERT INTO am_credit_event_kind (was, kind) VALUES
    ('budget.threshold_reached',    'alert_fired'),
    ('budget.exhausted',            'budget_exhausted'),
    ('balance.low',                 'low_balance'),
    ('credit.expiring',             'credit_expiring'),
    ('credit.expired',              'credit_expired'),
    ('wallet.exhausted',            'wallet_exhausted'),
    ('key_cap.threshold_reached',   'key_cap_reached'),
    ('key_cap.exhausted',           'key_cap_exhausted'),
    ('spending.anomaly_detected',   'spend_anomaly'),
    ('topup.due',                   'topup_due'),
    ('topup.credited',              'topup_credited'),
    ('topup.clawed_back',           'topup_taken_back'),
    ('topup.reinstated',            'topup_given_back'),
    ('topup.requires_action',       'topup_requires_action'),
    ('topup.uncredited',            'topup_succeeded'),
    ('topup.failed',                'topup_failed'),
    ('topup.canceled',              'topup_canceled'),
    ('topup.currency_mismatch',     'topup_currency_mismatch'),
    ('auto_topup.stopped',          'auto_topup_stopped'),
    ('auto_topup.limit_reached',    'auto_topup_limit_reached'),
    ('auto_topup.runaway_detected', 'auto_topup_runaway'),
    ('ledger.sealed',               'ledger_sealed');

-- Where another release has emitted the same under its own name meanwhile, the key stays that event's alone.
UPDATE am_credit_outbox
SET kind = named.kind,
    dedupe_key = CASE WHEN substr(dedupe_key, 1, length(named.was) + 1) <> named.was || ' ' THEN dedupe_key
                      WHEN NOT EXISTS (SELECT 1 FROM am_credit_outbox AS other
                                       WHERE other.wallet_id = am_credit_outbox.wallet_id AND other.dedupe_key =
                                             named.kind || substr(am_credit_outbox.dedupe_key, length(named.was) + 1))
                      THEN named.kind || substr(dedupe_key, length(named.was) + 1) END,
    payload = CASE WHEN named.was = 'auto_topup.limit_reached' THEN replace(payload, '"left_yen":', '"room_yen":')
                   ELSE replace(payload, '"clawed_back_yen":', '"taken_yen":') END
FROM am_credit_event_kind AS named
WHERE named.was = am_credit_outbox.kind;

INSERT INTO am_credit_event_kind (was, kind) VALUES ('notice.test', 'test');

UPDATE am_credit_target
SET kinds = (SELECT json_agg(coalesce(named.kind, asked.kind) ORDER BY asked.place)::text
             FROM json_array_elements_text(am_credit_target.kinds::json) WITH ORDINALITY AS asked (kind, place)
             LEFT JOIN am_credit_event_kind AS named ON named.was = asked.kind)
WHERE kinds <> '[]';

DROP TABLE am_credit_event_kind;
