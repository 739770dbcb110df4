-- Prepared transactions, which hold locks and old rows until someone ends them; age_seconds.
-- https://www.postgresql.org/docs/current/view-pg-prepared-xacts.html
SELECT gid,
       owner,
       round(extract(epoch FROM clock_timestamp() - prepared))::bigint AS age_seconds,
       format('ROLLBACK PREPARED %L', gid) AS remedy
FROM pg_prepared_xacts
WHERE database = current_database()
ORDER BY prepared
