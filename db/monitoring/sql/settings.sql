-- Settings of the server as this session sees them, but for those that only pg_read_all_settings
-- may see. name; value; source: where it was set, such as database or configuration file.
-- https://www.postgresql.org/docs/current/view-pg-settings.html
SELECT name, current_setting(name) AS value, source, pending_restart
FROM pg_settings
WHERE name = ANY(:names)
ORDER BY name
