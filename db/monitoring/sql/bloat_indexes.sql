-- How full the leaf pages of each B-tree are; the whole index is read for it. density_percent: 90
-- when it is new, null when it is empty; bytes: its size.
-- https://www.postgresql.org/docs/current/pgstattuple.html (pgstatindex)
SELECT s.schemaname AS "schema",
       s.indexrelname AS "index",
       m.index_size AS bytes,
       CASE WHEN m.leaf_pages > 0 THEN round(nullif(m.avg_leaf_density, 'NaN')::numeric, 1)::float8
           END AS density_percent
FROM pg_stat_user_indexes AS s
JOIN pg_class AS c ON c.oid = s.indexrelid
JOIN pg_am AS a ON a.oid = c.relam AND a.amname = 'btree'
JOIN pg_index AS i ON i.indexrelid = s.indexrelid AND i.indisvalid
CROSS JOIN LATERAL pgstatindex(s.indexrelid::regclass) AS m
ORDER BY m.index_size DESC, 1, 2
