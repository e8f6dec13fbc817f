-- 318: how a top-up's payment was asked for, so that asking again after a lost answer asks for the same.

ALTER TABLE am_credit_topup ADD COLUMN offer TEXT;   -- [method, saves the card, language] as JSON; NULL for all methods
