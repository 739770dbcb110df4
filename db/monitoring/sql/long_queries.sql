-- Sessions whose statement, or whose open transaction, is older than :seconds seconds.
-- query_seconds: since the statement began, for one that is running; transaction_seconds: since
-- the transaction began, which holds back VACUUM even when the session is idle; waits_for: what
-- the session waits for now; query: its statement, or the last one when it is idle.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
SELECT pid,
       usename AS "user",
       application_name AS application,
       state,
       round(CASE WHEN state = 'active'
           THEN extract(epoch FROM clock_timestamp() - query_start) END)::bigint AS query_seconds,
       round(extract(epoch FROM clock_timestamp() - xact_start))::bigint AS transaction_seconds,
       wait_event_type || ' ' || wait_event AS waits_for,
       query
FROM pg_stat_activity
WHERE datname = current_database()
    AND backend_type = 'client backend'
    AND pid <> pg_backend_pid()
    AND (
        (state = 'active' AND clock_timestamp() - query_start > make_interval(secs => :seconds))
        OR clock_timestamp() - xact_start > make_interval(secs => :seconds)
    )
ORDER BY least(query_start, xact_start)
