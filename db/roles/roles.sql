-- One row for each of the roles that exists: what it is, and what it may do with all tables.
-- connections: those open now. tables: rights on every table of the service.
-- https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
SELECT r.rolname AS name,
       r.rolcanlogin AS logs_in,
       r.rolsuper AS superuser,
       r.rolreplication AS replication,
       (
           SELECT string_agg(granted.rolname, ', ' ORDER BY granted.rolname)
           FROM pg_auth_members AS m
           JOIN pg_roles AS granted ON granted.oid = m.roleid
           WHERE m.member = r.oid
       ) AS member_of,
       (
           SELECT string_agg(asked.name, ', ' ORDER BY asked.place)
           FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'])
               WITH ORDINALITY AS asked (name, place)
           WHERE (
               SELECT bool_and(has_table_privilege(r.oid, c.oid, asked.name))
               FROM pg_class AS c
               WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                   AND c.relname <> 'alembic_version'
           )
       ) AS tables,
       (SELECT count(*) FROM pg_stat_activity AS a WHERE a.usesysid = r.oid) AS connections
FROM pg_roles AS r
WHERE r.rolname IN (%(owner)s, %(app)s, %(maintenance)s, %(readonly)s)
ORDER BY r.rolname
