"""Everything about the database: tables, sessions, queries, maintenance."""
