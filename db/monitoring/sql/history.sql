-- The last report of maintenance.report of each of the :days newest days that have one.
SELECT DISTINCT ON (finished_at::date)
       finished_at::date AS day,
       result
FROM maintenance_runs
WHERE task = 'maintenance.report'
    AND state = 'done'
    AND finished_at >= current_date - CAST(:days AS integer)
ORDER BY finished_at::date DESC, finished_at DESC
