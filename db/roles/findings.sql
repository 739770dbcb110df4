-- Sentences about what these roles may do and should not, or may not do and should.
-- https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
WITH roles AS (
    SELECT oid, rolname, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication
    FROM pg_roles
    WHERE rolname IN (%(owner)s, %(app)s, %(maintenance)s, %(readonly)s)
),
logins AS (
    SELECT oid, rolname FROM roles WHERE rolname <> %(owner)s
),
confined AS (
    SELECT oid, rolname FROM roles WHERE rolname IN (%(app)s, %(readonly)s)
),
tables AS (
    SELECT c.oid, c.relname, c.relowner
    FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
),
wanted (rolname, privilege) AS (
    VALUES (%(app)s, 'SELECT'), (%(app)s, 'INSERT'), (%(app)s, 'UPDATE'), (%(app)s, 'DELETE'),
           (%(readonly)s, 'SELECT')
)
SELECT format('%%s has rights that no role of the service needs: superuser, createdb, createrole '
              'or bypassrls', rolname)
FROM roles
WHERE rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls
UNION ALL
SELECT format('%%s may take base backups, that is, read every file of the server', r.rolname)
FROM roles AS r
JOIN confined USING (oid)
WHERE r.rolreplication
UNION ALL
SELECT DISTINCT format('%%s is a member of %%s', r.rolname, granted.rolname)
FROM roles AS r
JOIN pg_auth_members AS m ON m.member = r.oid
JOIN pg_roles AS granted ON granted.oid = m.roleid
WHERE r.rolname <> %(maintenance)s
    OR (granted.rolname <> %(owner)s AND granted.rolname <> ALL (%(predefined)s))
UNION ALL
SELECT format('%%s is not a member of %%s', r.rolname, predefined)
FROM roles AS r
CROSS JOIN unnest(%(predefined)s::text[]) AS predefined
WHERE r.rolname = %(maintenance)s AND NOT pg_has_role(r.oid, predefined, 'MEMBER')
UNION ALL
SELECT format('%%s has no %%s on the table %%s', r.rolname, w.privilege, t.relname)
FROM wanted AS w
JOIN roles AS r USING (rolname)
CROSS JOIN tables AS t
WHERE NOT has_table_privilege(r.oid, t.oid, w.privilege)
    AND (t.relname <> 'alembic_version' OR w.privilege = 'SELECT')
UNION ALL
SELECT format('%%s may write to the table %%s', c.rolname, t.relname)
FROM confined AS c
CROSS JOIN tables AS t
WHERE (c.rolname = %(readonly)s OR t.relname = 'alembic_version')
    AND has_table_privilege(c.oid, t.oid, 'INSERT, UPDATE, DELETE')
UNION ALL
SELECT format('%%s may do more with the table %%s than with rows', c.rolname, t.relname)
FROM confined AS c
CROSS JOIN tables AS t
WHERE has_table_privilege(c.oid, t.oid, 'TRUNCATE, REFERENCES, TRIGGER')
UNION ALL
SELECT format('%%s may not look after the table %%s: its owner is another', r.rolname, t.relname)
FROM tables AS t
JOIN roles AS r ON r.rolname = %(maintenance)s
WHERE NOT pg_has_role(r.oid, t.relowner, 'USAGE')
UNION ALL
SELECT format('%%s may not connect to this database', l.rolname)
FROM logins AS l
WHERE NOT has_database_privilege(l.oid, current_database(), 'CONNECT')
UNION ALL
SELECT format('%%s may make temporary tables', l.rolname)
FROM logins AS l
WHERE has_database_privilege(l.oid, current_database(), 'TEMPORARY')
UNION ALL
SELECT format('%%s may make tables in the schema %%s', c.rolname, n.nspname)
FROM confined AS c
CROSS JOIN pg_namespace AS n
WHERE n.nspname !~ '^pg_' AND has_schema_privilege(c.oid, n.oid, 'CREATE')
UNION ALL
SELECT format('%%s may look into the schema %%s; only its owner can take that away',
              c.rolname, n.nspname)
FROM confined AS c
CROSS JOIN pg_namespace AS n
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('public', 'information_schema')
    AND has_schema_privilege(c.oid, n.oid, 'USAGE')
UNION ALL
SELECT format('%%s owns something in this database; only REASSIGN OWNED can take that away',
              c.rolname)
FROM confined AS c
WHERE EXISTS (
    SELECT FROM pg_shdepend AS d
    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = c.oid AND d.deptype = 'o'
)
UNION ALL
SELECT format('every role has %%s on this database', acl.privilege_type)
FROM pg_database AS d
CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS acl
WHERE d.datname = current_database() AND acl.grantee = 0
ORDER BY 1
