-- Replication slots. retained_bytes: WAL that the server keeps for it, which nothing bounds unless
-- max_slot_wal_keep_size does; wal_status lost: the receiver has to be made anew.
-- https://www.postgresql.org/docs/current/view-pg-replication-slots.html
SELECT slot_name AS name,
       slot_type AS type,
       active,
       wal_status,
       greatest(pg_wal_lsn_diff(
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
           restart_lsn
       ), 0)::bigint AS retained_bytes
FROM pg_replication_slots
ORDER BY 1
