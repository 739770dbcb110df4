-- Room that each table takes without need, looked at on disk; pages that the visibility map calls
-- all-visible are skipped. dead, dead_percent: rows that are gone; free_percent: of its size, room
-- that new rows will use; bytes: size without indexes and TOAST.
-- https://www.postgresql.org/docs/current/pgstattuple.html (pgstattuple_approx)
SELECT s.schemaname AS "schema",
       s.relname AS "table",
       m.table_len AS bytes,
       m.approx_tuple_count::bigint AS live,
       m.dead_tuple_count AS dead,
       round(m.dead_tuple_percent::numeric, 1)::float8 AS dead_percent,
       round(m.approx_free_percent::numeric, 1)::float8 AS free_percent,
       greatest(s.last_vacuum, s.last_autovacuum) AS last_vacuum
FROM pg_stat_user_tables AS s
CROSS JOIN LATERAL pgstattuple_approx(s.relid) AS m
ORDER BY m.table_len * (m.dead_tuple_percent + m.approx_free_percent) DESC, 1, 2
