-- Tables with more than :rows live rows of which the planner knows nothing.
-- https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-STATISTICS
SELECT schemaname AS "schema", relname AS "table", n_live_tup AS live
FROM pg_stat_user_tables
WHERE greatest(last_analyze, last_autoanalyze) IS NULL AND n_live_tup > :rows
ORDER BY 1, 2
