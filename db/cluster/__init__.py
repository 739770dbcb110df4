"""PostgreSQL's programs, and processes that outlive nobody: what runs a server of our own."""
