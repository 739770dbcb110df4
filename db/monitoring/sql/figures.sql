-- What a monitor asks for every minute, in one row.
-- Sessions of clients in this database by state; the age of the longest statement and transaction
-- in seconds, 0 without any; sessions that wait for a lock; the share of blocks found in memory (0
-- to 1, null without any); rows by the statistics; transactions since the oldest row that is not
-- frozen; how long ago a standby applied the last commit, in seconds, null on a primary.
-- https://www.postgresql.org/docs/current/monitoring-stats.html
WITH sessions AS (
    SELECT coalesce(state, 'hidden') AS state, query_start, xact_start, wait_event_type
    FROM pg_stat_activity
    WHERE datname = current_database()
        AND backend_type = 'client backend'
        AND pid <> pg_backend_pid()
)
SELECT (
           SELECT coalesce(json_object_agg(state, sessions), '{}')
           FROM (SELECT state, count(*) AS sessions FROM sessions GROUP BY state) AS counted
       ) AS connections,
       current_setting('max_connections')::int AS max_connections,
       (
           SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float8
           FROM sessions
           WHERE state = 'active'
       ) AS longest_query_seconds,
       (
           SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
           FROM sessions
       ) AS longest_transaction_seconds,
       (SELECT count(*) FROM sessions WHERE wait_event_type = 'Lock') AS blocked_sessions,
       (
           SELECT round(blks_hit::numeric / nullif(blks_hit + blks_read, 0), 4)::float8
           FROM pg_stat_database
           WHERE datname = current_database()
       ) AS cache_hit_ratio,
       (SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables) AS dead_rows,
       (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()) AS xid_age,
       pg_database_size(current_database()) AS database_bytes,
       pg_is_in_recovery() AS standby,
       CASE WHEN pg_is_in_recovery() THEN
           CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
               ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END
           END::float8 AS standby_lag_seconds
