-- The extensions asked for: version is null where it is not in this database; available is the
-- version that could be created.
-- https://www.postgresql.org/docs/current/view-pg-available-extensions.html
SELECT name, installed_version AS version, default_version AS available
FROM pg_available_extensions
WHERE name = ANY(:names)
