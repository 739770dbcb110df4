"""When the database was last dumped, and when a dump was last proved by a restore."""

from collections.abc import Iterable
from datetime import datetime

from db.backup.catalogue import Entry


def newest(entries: Iterable[Entry]) -> datetime | None:
    """Return as of when the newest full dump is."""
    return max((entry.started_at for entry in entries if entry.contents == "full"), default=None)


def last_verified(entries: Iterable[Entry]) -> datetime | None:
    """Return when a restore last proved a full dump in which nothing was found wrong since."""
    return max(
        (
            entry.verified_at
            for entry in entries
            if entry.contents == "full" and entry.verified_at is not None and entry.problem is None
        ),
        default=None,
    )
