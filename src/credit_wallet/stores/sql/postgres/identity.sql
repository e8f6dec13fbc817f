-- What PostgreSQL says otherwise than ../identity.sql: several may write at once.

-- register_alone: nobody else adds a secret until the transaction ends
LOCK TABLE am_credit_secret IN SHARE ROW EXCLUSIVE MODE;
