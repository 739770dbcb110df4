-- Whether this role sees the statements and states of other roles' sessions.
-- https://www.postgresql.org/docs/current/predefined-roles.html
SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS monitor
