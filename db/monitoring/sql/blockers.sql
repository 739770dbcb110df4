-- Sessions of clients in this database that others wait for, and that wait for nobody themselves.
-- pid, started: which session; blocks: how many wait for it directly; age_seconds: since its
-- transaction began; query: its statement, or the last one when it is idle.
-- https://www.postgresql.org/docs/current/functions-info.html (pg_blocking_pids)
WITH waits AS (
    SELECT a.pid AS waiting, unnest(pg_blocking_pids(a.pid)) AS blocker
    FROM pg_stat_activity AS a
    WHERE a.wait_event_type = 'Lock'
)
SELECT a.pid,
       a.usename AS "user",
       a.application_name AS application,
       a.state,
       round(extract(epoch FROM clock_timestamp() - a.xact_start))::bigint AS age_seconds,
       count(DISTINCT w.waiting) AS blocks,
       a.query,
       a.backend_start AS started
FROM pg_stat_activity AS a
JOIN waits AS w ON w.blocker = a.pid
WHERE a.datname = current_database()
    AND a.backend_type = 'client backend'
    AND a.pid <> pg_backend_pid()
    AND a.pid NOT IN (SELECT waiting FROM waits)
GROUP BY a.pid, a.usename, a.application_name, a.state, a.xact_start, a.query, a.backend_start
ORDER BY blocks DESC, a.pid
