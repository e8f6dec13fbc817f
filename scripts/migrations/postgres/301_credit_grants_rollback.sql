-- Drops what 301 added, unless credit is still to come: nobody would notice that it does not. What came stays credited.

DO $$
BEGIN
    IF EXISTS (SELECT FROM am_credit_grant WHERE next_at IS NOT NULL) THEN
        RAISE EXCEPTION 'the ledger has grants whose credit is still to come; cancel them, or keep 301'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END
$$;

DROP TABLE am_credit_grant_occurrence;
DROP FUNCTION am_credit_grant_occurrence_append_only();
DROP TABLE am_credit_grant;
DROP SEQUENCE am_credit_grant_grant_id_seq;
DROP FUNCTION am_credit_grant_terms_fixed();
