-- Drops what 316 added: whoever is signed in signs in again, and open links end.

DROP TABLE am_credit_link;
DROP TABLE am_credit_session;
