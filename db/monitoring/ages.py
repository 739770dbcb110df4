"""Times of the newest dump and of the last successful restore drill."""

from collections.abc import Iterable
from datetime import datetime

from db.backup.catalogue import Entry


def newest(entries: Iterable[Entry]) -> datetime | None:
    """Return the time of the newest full dump."""
    return max((entry.started_at for entry in entries if entry.contents == "full"), default=None)


def last_verified(entries: Iterable[Entry]) -> datetime | None:
    """Return the last successful drill of a full dump without a later problem."""
    return max(
        (
            entry.verified_at
            for entry in entries
            if entry.contents == "full" and entry.verified_at is not None and entry.problem is None
        ),
        default=None,
    )
