-- Each table, and how near autovacuum is to it.
-- dead: rows that are gone and take room; threshold: dead rows at which it is vacuumed; changed:
-- rows since the last ANALYZE; analyze_threshold: at which it is analysed; enabled: not switched
-- off for the table; own_settings: what was set for it alone; xid_age: transactions since its
-- oldest row was frozen.
-- https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM
SELECT s.schemaname AS "schema",
       s.relname AS "table",
       s.n_live_tup AS live,
       s.n_dead_tup AS dead,
       least(
           coalesce(o.vacuum_threshold, current_setting('autovacuum_vacuum_threshold')::float8)
               + coalesce(o.vacuum_factor, current_setting('autovacuum_vacuum_scale_factor')::float8)
               * greatest(c.reltuples, 0),
           nullif(current_setting('autovacuum_vacuum_max_threshold', true)::float8, -1)
       )::bigint AS threshold,
       s.n_mod_since_analyze AS changed,
       (
           coalesce(o.analyze_threshold, current_setting('autovacuum_analyze_threshold')::float8)
               + coalesce(
                   o.analyze_factor, current_setting('autovacuum_analyze_scale_factor')::float8
               ) * greatest(c.reltuples, 0)
       )::bigint AS analyze_threshold,
       greatest(s.last_vacuum, s.last_autovacuum) AS last_vacuum,
       greatest(s.last_analyze, s.last_autoanalyze) AS last_analyze,
       s.autovacuum_count AS runs,
       coalesce(o.enabled, true) AS enabled,
       array_to_string(c.reloptions, ', ') AS own_settings,
       age(c.relfrozenxid) AS xid_age
FROM pg_stat_user_tables AS s
JOIN pg_class AS c ON c.oid = s.relid
CROSS JOIN LATERAL (
    SELECT max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold')
               AS vacuum_threshold,
           max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor')
               AS vacuum_factor,
           max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_analyze_threshold')
               AS analyze_threshold,
           max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_analyze_scale_factor')
               AS analyze_factor,
           bool_and(option_value::boolean) FILTER (WHERE option_name = 'autovacuum_enabled')
               AS enabled
    FROM pg_options_to_table(c.reloptions)
) AS o
WHERE c.relkind IN ('r', 'm')
ORDER BY s.n_dead_tup DESC, 1, 2
