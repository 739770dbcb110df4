-- Sequences that have used more than :percent percent of their numbers.
-- https://www.postgresql.org/docs/current/view-pg-sequences.html
SELECT schemaname AS "schema",
       sequencename AS "sequence",
       last_value,
       max_value,
       round(100 * last_value::numeric / max_value, 1)::float8 AS used_percent
FROM pg_sequences
WHERE last_value IS NOT NULL
    AND increment_by > 0
    AND NOT cycle
    AND last_value::numeric / max_value > :percent / 100.0
ORDER BY used_percent DESC, 1, 2
