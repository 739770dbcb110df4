-- Sessions in this database, counted by who they are and what they do.
-- user, application, client; state (idle in transaction holds locks and old rows);
-- sessions: count; oldest_seconds: since the state of the oldest one changed.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
SELECT usename AS "user",
       application_name AS application,
       coalesce(host(client_addr), 'socket') AS client,
       coalesce(state, 'hidden') AS state,
       count(*) AS sessions,
       round(extract(epoch FROM clock_timestamp() - min(state_change)))::bigint AS oldest_seconds
FROM pg_stat_activity
WHERE datname = current_database()
    AND backend_type = 'client backend'
    AND pid <> pg_backend_pid()
GROUP BY 1, 2, 3, 4
ORDER BY sessions DESC, 1, 2, 3, 4
