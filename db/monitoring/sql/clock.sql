-- The time by the server's clock.
-- https://www.postgresql.org/docs/current/functions-datetime.html#FUNCTIONS-DATETIME-CURRENT
SELECT clock_timestamp() AS now
