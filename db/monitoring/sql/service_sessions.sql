-- Sessions of this service's processes by application name and state, for metrics.
--
-- application: application_name; state: as in pg_stat_activity, "hidden" of other roles where this
-- one may not see it; sessions: how many.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
SELECT
    application_name AS application,
    coalesce(state, 'hidden') AS state,
    count(*)::int AS sessions
FROM pg_stat_activity
WHERE datname = current_database()
    AND application_name LIKE 'template-service%'
    AND pid <> pg_backend_pid()
GROUP BY 1, 2
ORDER BY 1, 2
