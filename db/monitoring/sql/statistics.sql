-- What the planner knows of each column, none of its values: distinct (below 0: a share of all
-- rows, such as -1 for all of them), nulls (share), correlation with the order on disk (-1 to 1;
-- near 0 an index scan jumps about), average width in bytes.
-- https://www.postgresql.org/docs/current/view-pg-stats.html
SELECT schemaname AS "schema",
       tablename AS "table",
       attname AS "column",
       n_distinct AS "distinct",
       null_frac AS nulls,
       correlation,
       avg_width AS width_bytes
FROM pg_stats
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
ORDER BY abs(correlation) DESC NULLS LAST, 1, 2, 3
