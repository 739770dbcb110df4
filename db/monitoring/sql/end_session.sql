-- Ends one session if it still is what it was when it was looked at, and waits up to 5 seconds for
-- its end. pid, started: which session; state, changed: since when it was in which state, null for
-- any. ended: true; no row when the session is gone or does something else by now.
-- https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL
SELECT pg_terminate_backend(pid, 5000) AS ended
FROM pg_stat_activity
WHERE pid = :pid
    AND backend_start = :started
    AND (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:changed AS timestamptz) IS NULL OR state_change = :changed)
