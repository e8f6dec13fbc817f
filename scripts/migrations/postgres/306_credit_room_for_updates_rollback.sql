-- Pages are filled again as they are written anew.

DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN
        SELECT c.oid FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE c.relkind = 'r' AND coalesce(i.inhparent, c.oid) IN (
            'am_credit_wallet'::regclass, 'am_credit_key'::regclass, 'am_credit_budget_spent'::regclass,
            'am_credit_budget_held'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s RESET (fillfactor)', part);
    END LOOP;
END
$$;
