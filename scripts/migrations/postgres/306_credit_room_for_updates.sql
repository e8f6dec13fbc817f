-- 306: room on the pages of rows that every batch updates. PostgreSQL writes a new version of a row on the same page if
-- there is room, and then touches no index (HOT). A batch of many wallets may update every row of a page before the old
-- versions can be removed, so more than half of each page is kept free. Pages are laid out so as they are written anew.

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
        EXECUTE format('ALTER TABLE %s SET (fillfactor = 45)', part);
    END LOOP;
END
$$;
