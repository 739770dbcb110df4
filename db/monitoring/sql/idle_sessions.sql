-- Sessions of clients in this database that have done nothing for more than :seconds seconds.
-- pid, started: which session; state: idle, or idle in a transaction that holds locks and old
-- rows and is rolled back with the session; age_seconds: since it became so.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
SELECT pid,
       usename AS "user",
       application_name AS application,
       coalesce(host(client_addr), 'socket') AS client,
       state,
       round(extract(epoch FROM clock_timestamp() - state_change))::bigint AS age_seconds,
       backend_start AS started,
       state_change AS changed
FROM pg_stat_activity
WHERE datname = current_database()
    AND backend_type = 'client backend'
    AND pid <> pg_backend_pid()
    AND state = ANY(:states)
    AND clock_timestamp() - state_change > make_interval(secs => :seconds)
ORDER BY state_change
