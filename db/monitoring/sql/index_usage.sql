-- How often each index was used since the statistics were reset.
-- scans: times it was searched; entries_read, rows_fetched: what that gave; bytes: its size;
-- enforces: it keeps something unique, so it is needed however rarely it is searched;
-- valid: false is what a failed CREATE INDEX CONCURRENTLY leaves behind.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ALL-INDEXES-VIEW
SELECT s.schemaname AS "schema",
       s.relname AS "table",
       s.indexrelname AS "index",
       s.idx_scan AS scans,
       s.idx_tup_read AS entries_read,
       s.idx_tup_fetch AS rows_fetched,
       pg_relation_size(s.indexrelid) AS bytes,
       i.indisunique OR i.indisexclusion AS enforces,
       i.indisvalid AS valid
FROM pg_stat_user_indexes AS s
JOIN pg_index AS i ON i.indexrelid = s.indexrelid
ORDER BY s.idx_scan DESC, bytes DESC, 1, 2, 3
