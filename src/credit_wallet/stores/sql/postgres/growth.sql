-- The size of the database on PostgreSQL.

-- database_bytes: everything in the database, a host's tables included
SELECT pg_database_size(current_database());
