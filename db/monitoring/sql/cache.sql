-- Blocks found in PostgreSQL's own memory (hit) and those asked of the system (read), which may
-- have had them in its cache. table_percent, index_percent, toast_percent: hits of all accesses,
-- null where there were none. The first row is of all tables together.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STATIO-ALL-TABLES-VIEW
WITH blocks AS (
    SELECT schemaname || '.' || relname AS relation,
           heap_blks_hit AS heap_hit,
           heap_blks_read AS heap_read,
           coalesce(idx_blks_hit, 0) AS index_hit,
           coalesce(idx_blks_read, 0) AS index_read,
           coalesce(toast_blks_hit, 0) + coalesce(tidx_blks_hit, 0) AS toast_hit,
           coalesce(toast_blks_read, 0) + coalesce(tidx_blks_read, 0) AS toast_read
    FROM pg_statio_user_tables
)
SELECT CASE WHEN grouping(relation) = 1 THEN 'all' ELSE relation END AS "table",
       coalesce(sum(heap_hit + index_hit + toast_hit), 0)::bigint AS hit,
       coalesce(sum(heap_read + index_read + toast_read), 0)::bigint AS "read",
       round(100 * sum(heap_hit) / nullif(sum(heap_hit + heap_read), 0), 2)::float8
           AS table_percent,
       round(100 * sum(index_hit) / nullif(sum(index_hit + index_read), 0), 2)::float8
           AS index_percent,
       round(100 * sum(toast_hit) / nullif(sum(toast_hit + toast_read), 0), 2)::float8
           AS toast_percent
FROM blocks
GROUP BY GROUPING SETS ((), (relation))
ORDER BY grouping(relation) DESC, 2 DESC, 1
