-- Disk space of each table, materialised view and sequence; a partitioned table with all its
-- partitions. table_bytes: rows with free space and visibility map; index_bytes: all its indexes;
-- toast_bytes: values stored out of line, with their index; total_bytes: the sum;
-- rows: the planner's estimate, of the last ANALYZE or VACUUM.
-- https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-DBSIZE
SELECT "schema",
       relation,
       kind,
       "rows",
       (total_bytes - index_bytes - toast_bytes) AS table_bytes,
       index_bytes,
       toast_bytes,
       total_bytes
FROM (
    SELECT n.nspname AS "schema",
           root.relname AS relation,
           CASE root.relkind
               WHEN 'p' THEN 'partitioned table'
               WHEN 'm' THEN 'materialised view'
               WHEN 'S' THEN 'sequence'
               ELSE 'table'
           END AS kind,
           CASE WHEN root.relkind <> 'S'
               THEN sum(greatest(c.reltuples, 0)) FILTER (WHERE c.relkind <> 'p') END::bigint
               AS "rows",
           sum(pg_indexes_size(c.oid))::bigint AS index_bytes,
           sum(coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0))::bigint
               AS toast_bytes,
           sum(pg_total_relation_size(c.oid))::bigint AS total_bytes
    FROM pg_class AS c
    JOIN pg_class AS root ON root.oid = coalesce(pg_partition_root(c.oid), c.oid)
    JOIN pg_namespace AS n ON n.oid = root.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'S')
        AND n.nspname <> 'information_schema'
        AND n.nspname !~ '^pg_'
    GROUP BY n.nspname, root.oid, root.relname, root.relkind
) AS measured
ORDER BY total_bytes DESC, "schema", relation
