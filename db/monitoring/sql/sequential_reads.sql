-- Tables that are read from end to end, which for more than a few pages asks for an index.
-- sequential: times; rows_each: rows read each time; by_index: times an index was used;
-- percent: sequential of both, null when the table was never read; bytes: size without indexes.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ALL-TABLES-VIEW
SELECT schemaname AS "schema",
       relname AS "table",
       seq_scan AS sequential,
       seq_tup_read / nullif(seq_scan, 0) AS rows_each,
       coalesce(idx_scan, 0) AS by_index,
       round(100.0 * seq_scan / nullif(seq_scan + coalesce(idx_scan, 0), 0), 1)::float8 AS percent,
       pg_table_size(relid) AS bytes
FROM pg_stat_user_tables
ORDER BY seq_tup_read DESC, 1, 2
