-- The :rows statements of this database that take longest on average.
-- calls: times run; mean_ms, max_ms, total_ms: milliseconds of execution; percent: of the time of
-- all statements; rows: returned or changed in all; cache_percent: blocks found in memory;
-- query: with $1, $2 ... for its values.
-- https://www.postgresql.org/docs/current/pgstatstatements.html
SELECT s.calls,
       round(s.mean_exec_time::numeric, 3)::float8 AS mean_ms,
       round(s.max_exec_time::numeric, 3)::float8 AS max_ms,
       round(s.total_exec_time::numeric, 1)::float8 AS total_ms,
       round((100 * s.total_exec_time / nullif(sum(s.total_exec_time) OVER (), 0))::numeric, 1)
           ::float8 AS percent,
       s.rows,
       round(100.0 * s.shared_blks_hit / nullif(s.shared_blks_hit + s.shared_blks_read, 0), 1)
           ::float8 AS cache_percent,
       s.query
FROM pg_stat_statements AS s
JOIN pg_database AS d ON d.oid = s.dbid AND d.datname = current_database()
WHERE s.query NOT ILIKE '%pg_stat_statements%'
ORDER BY s.mean_exec_time DESC
LIMIT :rows
