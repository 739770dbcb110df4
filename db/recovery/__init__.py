"""Point-in-time recovery: archived WAL, base backups, and restores to a time."""
