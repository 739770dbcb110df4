-- Dead rows of each table by the statistics, which may lag behind.
-- dead_percent: of all rows, null for an empty table; bytes: size without indexes.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ALL-TABLES-VIEW
SELECT schemaname AS "schema",
       relname AS "table",
       pg_table_size(relid) AS bytes,
       n_live_tup AS live,
       n_dead_tup AS dead,
       round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0), 1)::float8 AS dead_percent,
       greatest(last_vacuum, last_autovacuum) AS last_vacuum
FROM pg_stat_user_tables
ORDER BY n_dead_tup DESC, 1, 2
