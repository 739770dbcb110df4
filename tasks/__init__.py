"""Tasks: what the worker does for each message."""
