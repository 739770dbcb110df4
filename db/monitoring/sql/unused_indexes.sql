-- Indexes of more than :bytes bytes that were never searched since the statistics were reset, keep
-- nothing unique and serve no foreign key. A standby counts for itself.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ALL-INDEXES-VIEW
SELECT s.schemaname AS "schema",
       s.indexrelname AS "index",
       s.relname AS "table",
       pg_relation_size(s.indexrelid) AS bytes,
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS since
FROM pg_stat_user_indexes AS s
JOIN pg_index AS i ON i.indexrelid = s.indexrelid
WHERE s.idx_scan = 0
    AND i.indisvalid
    AND NOT i.indisunique
    AND NOT i.indisexclusion
    AND pg_relation_size(s.indexrelid) > :bytes
    AND NOT EXISTS (
        SELECT FROM pg_constraint AS f
        WHERE f.contype = 'f' AND f.conrelid = s.relid AND i.indkey[0] = ANY(f.conkey)
    )
ORDER BY bytes DESC, 1, 2
