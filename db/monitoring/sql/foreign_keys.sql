-- Foreign keys whose columns no index begins with: deleting or renaming what they refer to reads
-- the whole table for each row. cascades: the delete goes on to the rows found.
-- https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK
SELECT f.conrelid::regclass::text AS "table",
       f.conname AS "constraint",
       k.columns,
       f.confrelid::regclass::text AS refers_to,
       f.confdeltype = 'c' AS cascades,
       format('CREATE INDEX CONCURRENTLY ON %s (%s)', f.conrelid::regclass, k.columns) AS remedy
FROM pg_constraint AS f
CROSS JOIN LATERAL (
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.place) AS columns
    FROM unnest(f.conkey) WITH ORDINALITY AS u (number, place)
    JOIN pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = u.number
) AS k
WHERE f.contype = 'f'
    AND f.conparentid = 0
    AND NOT EXISTS (
        SELECT
        FROM pg_index AS i
        WHERE i.indrelid = f.conrelid
            AND i.indisvalid
            AND i.indpred IS NULL
            AND f.conkey <@ ARRAY(
                SELECT u.number
                FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (number, place)
                WHERE u.place <= cardinality(f.conkey)
            )
    )
ORDER BY 1, 2
