-- What ALTER DATABASE ... SET gave to new sessions of this database, all roles.
-- https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html
SELECT split_part(item, '=', 1) AS name, substr(item, strpos(item, '=') + 1) AS value
FROM pg_db_role_setting AS s
JOIN pg_database AS d ON d.oid = s.setdatabase AND d.datname = current_database()
CROSS JOIN LATERAL unnest(s.setconfig) AS item
WHERE s.setrole = 0
ORDER BY 1
