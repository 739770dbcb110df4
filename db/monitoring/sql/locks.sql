-- Who waits for a lock in this database, and who holds it or waits for it before them; a row for
-- each pair. waiting_seconds: how long; mode, relation: what is waited for; blocking_pid: 0 is a
-- prepared transaction, of pg_prepared_xacts; transaction_seconds: age of the blocker's
-- transaction; queries as in pg_stat_activity.
-- https://www.postgresql.org/docs/current/functions-info.html (pg_blocking_pids)
SELECT w.pid,
       w.usename AS "user",
       w.application_name AS application,
       round(extract(epoch FROM clock_timestamp() - l.waitstart))::bigint AS waiting_seconds,
       l.mode,
       coalesce(l.relation::regclass::text, l.locktype) AS relation,
       w.query,
       p.pid AS blocking_pid,
       b.usename AS blocking_user,
       b.application_name AS blocking_application,
       b.state AS blocking_state,
       round(extract(epoch FROM clock_timestamp() - b.xact_start))::bigint AS transaction_seconds,
       b.query AS blocking_query
FROM pg_stat_activity AS w
JOIN pg_locks AS l ON l.pid = w.pid AND NOT l.granted
CROSS JOIN LATERAL (SELECT DISTINCT unnest(pg_blocking_pids(w.pid))) AS p (pid)
LEFT JOIN pg_stat_activity AS b ON b.pid = p.pid
WHERE w.datname = current_database() AND w.pid <> pg_backend_pid()
ORDER BY l.waitstart, w.pid, p.pid
