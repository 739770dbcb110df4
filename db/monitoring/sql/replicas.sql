-- Standbys and other receivers of WAL that are connected to this server.
-- lag_bytes: WAL of this server that they have not applied yet; lag_seconds: how long the last
-- applied commit took, null when nothing was written lately.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
SELECT application_name AS name,
       state,
       sync_state,
       pg_wal_lsn_diff(
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
           replay_lsn
       )::bigint AS lag_bytes,
       round(extract(epoch FROM replay_lag), 3)::float8 AS lag_seconds
FROM pg_stat_replication
ORDER BY 1, pid
