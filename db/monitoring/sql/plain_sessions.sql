-- Sessions from other machines whose connection is not encrypted, counted by user and address.
-- https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-SSL-VIEW
SELECT a.usename AS "user", host(a.client_addr) AS address, count(*) AS sessions
FROM pg_stat_activity AS a
JOIN pg_stat_ssl AS s ON s.pid = a.pid
WHERE a.backend_type IN ('client backend', 'walsender')
    AND a.client_addr IS NOT NULL
    AND NOT a.client_addr <<= '127.0.0.0/8'
    AND a.client_addr <> '::1'
    AND NOT s.ssl
GROUP BY 1, 2
ORDER BY 1, 2
