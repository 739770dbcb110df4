"""Restore dumps: into a new database, over the live one, or the rows of one table."""
