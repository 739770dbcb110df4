"""Defaults of a standby."""

from typing import Final

DEFAULT_PORT: Final = 5432
"""PostgreSQL's own."""
USER: Final = "replicator"
"""The role that standbys log in to their primary as."""
