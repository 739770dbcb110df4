-- Lines of pg_hba.conf that let someone in over the network without a password, or with a hash
-- that can be cracked or replayed. Superusers may see them. Those for a Unix socket are left out.
-- https://www.postgresql.org/docs/current/view-pg-hba-file-rules.html
SELECT line_number AS line,
       type,
       array_to_string(database, ',') AS databases,
       array_to_string(user_name, ',') AS users,
       address,
       auth_method AS method
FROM pg_hba_file_rules
WHERE type <> 'local' AND auth_method IN ('trust', 'md5', 'password')
ORDER BY line_number
