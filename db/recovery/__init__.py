"""Point-in-time recovery: archived WAL, base backups, and restores that are proved by a start."""
