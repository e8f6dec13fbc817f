-- 293: what proofs need — which hash a seal has, when identities end, and what a debt is for.

ALTER TABLE am_credit_seal ADD COLUMN version BIGINT NOT NULL DEFAULT 1;   -- of what its hash covers

-- When agent keys and sellers end, written down beside their rows, so that none comes alive again unseen. One that is
-- forgotten takes its row along.
CREATE TABLE am_credit_end (
    identity    TEXT   COLLATE "C" NOT NULL CHECK (identity IN ('key', 'seller')),
    identity_id BIGINT NOT NULL,
    wallet_id   BIGINT NOT NULL,                   -- 0: a seller's
    cause       TEXT   COLLATE "C" NOT NULL CHECK (cause IN ('expiry', 'revocation')),
    ends_at     TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (identity, identity_id, wallet_id, cause)
);

INSERT INTO am_credit_end (identity, identity_id, wallet_id, cause, ends_at)
SELECT 'key', key_id, wallet_id, 'expiry', expires_at FROM am_credit_key WHERE expires_at IS NOT NULL
UNION ALL
SELECT 'key', key_id, wallet_id, 'revocation', revoked_at FROM am_credit_key WHERE revoked_at IS NOT NULL
UNION ALL
SELECT 'seller', seller_id, wallet_id, 'revocation', revoked_at FROM am_credit_seller WHERE revoked_at IS NOT NULL;

CREATE FUNCTION am_credit_key_expiry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO am_credit_end (identity, identity_id, wallet_id, cause, ends_at)
    VALUES ('key', NEW.key_id, NEW.wallet_id, 'expiry', NEW.expires_at)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER am_credit_key_expiry
AFTER INSERT ON am_credit_key
FOR EACH ROW WHEN (NEW.expires_at IS NOT NULL)
EXECUTE FUNCTION am_credit_key_expiry();

CREATE FUNCTION am_credit_key_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO am_credit_end (identity, identity_id, wallet_id, cause, ends_at)
    VALUES ('key', NEW.key_id, NEW.wallet_id, 'revocation', NEW.revoked_at)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER am_credit_key_revocation
AFTER UPDATE OF revoked_at ON am_credit_key
FOR EACH ROW WHEN (NEW.revoked_at IS NOT NULL)
EXECUTE FUNCTION am_credit_key_revocation();

CREATE FUNCTION am_credit_seller_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO am_credit_end (identity, identity_id, wallet_id, cause, ends_at)
    VALUES ('seller', NEW.seller_id, NEW.wallet_id, 'revocation', NEW.revoked_at)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER am_credit_seller_revocation
AFTER UPDATE OF revoked_at ON am_credit_seller
FOR EACH ROW WHEN (NEW.revoked_at IS NOT NULL)
EXECUTE FUNCTION am_credit_seller_revocation();

-- Debt that is for no top-up is owed for what was served without credit: from now on it is in the register, under 0.
INSERT INTO am_credit_clawback (wallet_id, credit_txn_id, taken, owed_yen)
SELECT w.wallet_id, 0, '[]', w.debt_yen - coalesce(c.owed_yen, 0)
FROM am_credit_wallet w
LEFT JOIN (SELECT wallet_id, sum(owed_yen) AS owed_yen FROM am_credit_clawback GROUP BY wallet_id) c
       ON c.wallet_id = w.wallet_id
WHERE w.debt_yen > coalesce(c.owed_yen, 0);

-- A top-up that may still be credited has a history. One that was found at the provider and not paid yet had none.
INSERT INTO am_credit_topup_history (topup_id, wallet_id, status, received_yen, taken_yen, occurred_at)
SELECT t.topup_id, t.wallet_id, t.status, t.received_yen, 0, t.updated_at
FROM am_credit_topup t
WHERE t.status IN ('requested', 'pending', 'requires_action')
  AND NOT EXISTS (SELECT 1 FROM am_credit_topup_history h WHERE h.topup_id = t.topup_id AND h.wallet_id = t.wallet_id);
