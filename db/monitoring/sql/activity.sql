-- Sessions of this database that do something or hold a transaction open, the longest first.
-- seconds: since the statement began, or since the session became idle in its transaction;
-- transaction_seconds: since the transaction began; waits_for: the event that it waits for now;
-- blocked_by: processes that hold the lock that it waits for.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
SELECT pid,
       usename AS "user",
       application_name AS application,
       state,
       round(extract(epoch FROM clock_timestamp() - state_change))::bigint AS seconds,
       round(extract(epoch FROM clock_timestamp() - xact_start))::bigint AS transaction_seconds,
       wait_event_type || ' ' || wait_event AS waits_for,
       nullif(array_to_string(pg_blocking_pids(pid), ', '), '') AS blocked_by,
       query
FROM pg_stat_activity
WHERE datname = current_database()
    AND pid <> pg_backend_pid()
    AND backend_type IN ('client backend', 'parallel worker')
    AND state <> 'idle'
ORDER BY least(query_start, xact_start), pid
