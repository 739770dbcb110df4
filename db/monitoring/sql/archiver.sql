-- Archiving of WAL since its statistics were reset. archived_age_seconds, failed_age_seconds: since
-- the last success and the last failure, null when there was none; failing: the last one failed.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ARCHIVER-VIEW
SELECT current_setting('archive_mode') AS mode,
       archived_count,
       failed_count,
       last_archived_wal,
       last_failed_wal,
       round(extract(epoch FROM clock_timestamp() - last_archived_time))::bigint
           AS archived_age_seconds,
       round(extract(epoch FROM clock_timestamp() - last_failed_time))::bigint
           AS failed_age_seconds,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing
FROM pg_stat_archiver
