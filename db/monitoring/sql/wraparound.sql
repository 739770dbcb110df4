-- How many transactions ago the oldest row was frozen, in the oldest database of the server, and
-- at how many autovacuum freezes whatever its settings; at 2^31 less 3 million writes are refused.
-- https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND
SELECT datname AS database,
       age(datfrozenxid) AS xid_age,
       mxid_age(datminmxid) AS multixact_age,
       current_setting('autovacuum_freeze_max_age')::bigint AS freeze_at
FROM pg_database
ORDER BY greatest(age(datfrozenxid), mxid_age(datminmxid)) DESC
LIMIT 1
