-- Disk space of this database, the system's own tables included, in bytes.
-- https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-DBSIZE
SELECT current_database() AS database, pg_database_size(current_database()) AS total_bytes
