-- What the processes of the server wait for now, without those that wait for work.
-- sessions: processes of all databases; CPU is a statement that waits for nothing.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#WAIT-EVENT-TABLE
SELECT coalesce(wait_event_type, 'CPU') AS type,
       coalesce(wait_event, 'running') AS event,
       count(*) AS sessions
FROM pg_stat_activity
WHERE pid <> pg_backend_pid()
    AND coalesce(wait_event_type, '') NOT IN ('Activity', 'Client')
    AND (state = 'active' OR backend_type <> 'client backend')
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
