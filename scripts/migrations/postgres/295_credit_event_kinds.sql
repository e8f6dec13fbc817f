-- 295: kinds of events are named noun.verb. What was emitted before goes by its new name and is not emitted again.

CREATE TABLE am_credit_event_kind (was TEXT COLLATE "C" PRIMARY KEY, kind TEXT COLLATE "C" NOT NULL);
INSERT INTO am_credit_event_kind (was, kind) VALUES
    ('alert_fired',              'budget.threshold_reached'),
    ('budget_exhausted',         'budget.exhausted'),
    ('low_balance',              'balance.low'),
    ('credit_expiring',          'credit.expiring'),
    ('credit_expired',           'credit.expired'),
    ('wallet_exhausted',         'wallet.exhausted'),
    ('key_cap_reached',          'key_cap.threshold_reached'),
    ('key_cap_exhausted',        'key_cap.exhausted'),
    ('spend_anomaly',            'spending.anomaly_detected'),
    ('topup_due',                'topup.due'),
    ('topup_credited',           'topup.credited'),
    ('topup_taken_back',         'topup.clawed_back'),
    ('topup_given_back',         'topup.reinstated'),
    ('topup_requires_action',    'topup.requires_action'),
    ('topup_succeeded',          'topup.uncredited'),
    ('topup_failed',             'topup.failed'),
    ('topup_canceled',           'topup.canceled'),
    ('topup_currency_mismatch',  'topup.currency_mismatch'),
    ('auto_topup_stopped',       'auto_topup.stopped'),
    ('auto_topup_limit_reached', 'auto_topup.limit_reached'),
    ('auto_topup_runaway',       'auto_topup.runaway_detected'),
    ('ledger_sealed',            'ledger.sealed');

-- Where another release has emitted the same under its own name meanwhile, the key stays that event's alone.
UPDATE am_credit_outbox
SET kind = named.kind,
    dedupe_key = CASE WHEN substr(dedupe_key, 1, length(named.was) + 1) <> named.was || ' ' THEN dedupe_key
                      WHEN NOT EXISTS (SELECT 1 FROM am_credit_outbox AS other
                                       WHERE other.wallet_id = am_credit_outbox.wallet_id AND other.dedupe_key =
                                             named.kind || substr(am_credit_outbox.dedupe_key, length(named.was) + 1))
                      THEN named.kind || substr(dedupe_key, length(named.was) + 1) END,
    payload = CASE WHEN named.was = 'auto_topup_limit_reached' THEN replace(payload, '"room_yen":', '"left_yen":')
                   ELSE replace(payload, '"taken_yen":', '"clawed_back_yen":') END
FROM am_credit_event_kind AS named
WHERE named.was = am_credit_outbox.kind;

-- A kind that targets can ask for, of notices that are in no outbox.
INSERT INTO am_credit_event_kind (was, kind) VALUES ('test', 'notice.test');

UPDATE am_credit_target
SET kinds = (SELECT json_agg(coalesce(named.kind, asked.kind) ORDER BY asked.place)::text
             FROM json_array_elements_text(am_credit_target.kinds::json) WITH ORDINALITY AS asked (kind, place)
             LEFT JOIN am_credit_event_kind AS named ON named.was = asked.kind)
WHERE kinds <> '[]';

DROP TABLE am_credit_event_kind;
