-- What a role may do beyond reading and writing rows, by itself or as a member of others.
-- superuser; creates: it may make objects in the schema of the tables, or owns some of them.
-- https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
SELECT r.rolname AS role,
       r.rolsuper AS superuser,
       EXISTS (
           SELECT FROM pg_namespace AS n
           WHERE n.nspname = 'public' AND has_schema_privilege(r.oid, n.oid, 'CREATE')
       ) OR EXISTS (
           SELECT FROM pg_class AS c
           JOIN pg_namespace AS n ON n.oid = c.relnamespace
           WHERE n.nspname = 'public'
               AND c.relkind IN ('r', 'p')
               AND pg_has_role(r.oid, c.relowner, 'USAGE')
       ) AS creates
FROM pg_roles AS r
WHERE r.rolname = :role
