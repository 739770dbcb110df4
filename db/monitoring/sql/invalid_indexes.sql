-- Indexes that a failed CREATE INDEX or REINDEX CONCURRENTLY left behind: written, never read. One
-- that is being built now is left out.
-- https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY
SELECT n.nspname AS "schema",
       c.relname AS "index",
       i.indrelid::regclass::text AS "table",
       format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, c.relname) AS remedy
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid
    AND c.relkind = 'i'
    AND n.nspname !~ '^pg_toast'
    AND NOT EXISTS (
        SELECT FROM pg_stat_progress_create_index AS p
        WHERE p.index_relid = i.indexrelid OR p.relid = i.indrelid
    )
ORDER BY 1, 2
