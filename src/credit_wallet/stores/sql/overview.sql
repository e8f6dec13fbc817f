-- What needs a person: each kind is counted up to :most, and the first :shown of it are read. Every statement is a look into
-- an index of what it is about, whatever the size of the ledger.

-- count_wallets_in_debt: up to :most
SELECT count(*) FROM (SELECT 1 FROM am_credit_wallet WHERE debt_yen > 0 OR debt_fraction > 0 LIMIT :most) AS several;

-- wallets_in_debt: those who owe the most, of the first :most
SELECT CAST(wallet_id AS TEXT), wallet_id, label, debt_yen, debt_fraction, updated_at, NULL
FROM (SELECT wallet_id, label, debt_yen, debt_fraction, updated_at FROM am_credit_wallet
      WHERE debt_yen > 0 OR debt_fraction > 0 LIMIT :most) AS several
ORDER BY debt_yen DESC, debt_fraction DESC, several.wallet_id
LIMIT :shown;

-- count_wallets_exhausted: up to :most
SELECT count(*) FROM (SELECT 1 FROM am_credit_wallet WHERE exhausted = 1 LIMIT :most) AS several;

-- wallets_exhausted: those that ran dry last, of the first :most
SELECT CAST(wallet_id AS TEXT), wallet_id, label, NULL, NULL, updated_at, NULL
FROM (SELECT wallet_id, label, updated_at FROM am_credit_wallet WHERE exhausted = 1 LIMIT :most) AS several
ORDER BY updated_at DESC, several.wallet_id
LIMIT :shown;

-- count_topups_failed: top-ups that failed since :since, and after which none of their wallet was credited
SELECT count(*)
FROM (SELECT wallet_id, created_at FROM am_credit_topup
      WHERE status = 'failed' AND created_at >= :since LIMIT :most) AS f
WHERE NOT EXISTS (SELECT 1 FROM am_credit_topup c
                  WHERE c.wallet_id = f.wallet_id AND c.created_at > f.created_at AND c.status = 'credited');

-- topups_failed: the newest of them
SELECT f.topup_id, f.wallet_id, w.label, f.amount_yen, 0, f.updated_at, f.reason
FROM (SELECT topup_id, wallet_id, amount_yen, created_at, updated_at, reason FROM am_credit_topup
      WHERE status = 'failed' AND created_at >= :since
      ORDER BY created_at DESC, topup_id DESC LIMIT :most) AS f
JOIN am_credit_wallet w ON w.wallet_id = f.wallet_id
WHERE NOT EXISTS (SELECT 1 FROM am_credit_topup c
                  WHERE c.wallet_id = f.wallet_id AND c.created_at > f.created_at AND c.status = 'credited')
ORDER BY f.created_at DESC, f.topup_id DESC
LIMIT :shown;

-- count_topups_uncredited: top-ups that Stripe has the money for, and whose wallet has no credit for it
SELECT count(*) FROM (SELECT 1 FROM am_credit_topup WHERE status = 'succeeded' LIMIT :most) AS several;

-- topups_uncredited: the newest of them
SELECT f.topup_id, f.wallet_id, w.label, f.amount_yen, 0, f.updated_at, f.reason
FROM (SELECT topup_id, wallet_id, amount_yen, created_at, updated_at, reason FROM am_credit_topup
      WHERE status = 'succeeded' ORDER BY created_at DESC, topup_id DESC LIMIT :shown) AS f
JOIN am_credit_wallet w ON w.wallet_id = f.wallet_id
ORDER BY f.created_at DESC, f.topup_id DESC;

-- count_auto_topups_stopped: wallets whose automatic top-ups wait for a person
SELECT count(*) FROM (SELECT 1 FROM am_credit_payer WHERE stopped = 1 LIMIT :most) AS several;

-- auto_topups_stopped: those that stopped last, of the first :most
SELECT CAST(p.wallet_id AS TEXT), p.wallet_id, w.label, NULL, NULL, p.updated_at, p.reason
FROM (SELECT wallet_id, updated_at, reason FROM (
          SELECT wallet_id, updated_at, reason FROM am_credit_payer WHERE stopped = 1 LIMIT :most) AS several
      ORDER BY updated_at DESC, wallet_id LIMIT :shown) AS p
JOIN am_credit_wallet w ON w.wallet_id = p.wallet_id
ORDER BY p.updated_at DESC, p.wallet_id;

-- count_deliveries_dead: notices that were given up
SELECT count(*) FROM (SELECT 1 FROM am_credit_delivery WHERE status = 'dead' LIMIT :most) AS several;

-- deliveries_dead: the newest of them
SELECT CAST(d.delivery_id AS TEXT), d.wallet_id, w.label, NULL, NULL, d.created_at, d.last_error
FROM (SELECT delivery_id, wallet_id, created_at, last_error FROM am_credit_delivery
      WHERE status = 'dead' ORDER BY delivery_id DESC LIMIT :shown) AS d
JOIN am_credit_wallet w ON w.wallet_id = d.wallet_id
ORDER BY d.delivery_id DESC;

-- count_targets_unconfirmed: mailboxes that nobody has confirmed yet
SELECT count(*) FROM (SELECT 1 FROM am_credit_target WHERE confirm_by IS NOT NULL LIMIT :most) AS several;

-- targets_unconfirmed: those whose time ends first
SELECT CAST(t.target_id AS TEXT), t.wallet_id, w.label, NULL, NULL, t.confirm_by, NULL
FROM (SELECT target_id, wallet_id, confirm_by FROM am_credit_target
      WHERE confirm_by IS NOT NULL ORDER BY confirm_by LIMIT :shown) AS t
LEFT JOIN am_credit_wallet w ON w.wallet_id = t.wallet_id
ORDER BY t.confirm_by, t.target_id;
