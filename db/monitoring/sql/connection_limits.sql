-- How many connections the whole server takes, and how many are taken in all databases.
-- most: max_connections; reserved: kept for superusers and for pg_use_reserved_connections
-- (PostgreSQL 16 and newer); used: all sessions of clients, this one left out; free: the rest.
-- https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS
SELECT most, reserved, used, greatest(most - reserved - used, 0) AS free
FROM (
    SELECT current_setting('max_connections')::bigint AS most,
           current_setting('superuser_reserved_connections')::bigint
               + coalesce(current_setting('reserved_connections', true)::bigint, 0) AS reserved,
           (
               SELECT count(*)
               FROM pg_stat_activity
               WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
           ) AS used
) AS counted
