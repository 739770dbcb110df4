"""PostgreSQL's programs, local processes, and the one way to run a PostgreSQL server."""
