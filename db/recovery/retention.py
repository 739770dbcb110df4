"""Retention of base backups and archived WAL, as a pure function."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from db.recovery.catalogue import BaseBackup


@dataclass(frozen=True, slots=True)
class Retention:
    """Base backups and WAL to remove.

    Attributes
    ----------
    remove
        Names, each before the one that it builds on: no backup is ever without its parent.
    oldest_segment
        The oldest WAL segment that the remaining backups need; ``None`` when none remains.
    """

    remove: tuple[str, ...]
    oldest_segment: str | None


def retained(backups: Sequence[BaseBackup], keep: int, window: datetime | None = None) -> Retention:
    """Return what to remove so that the newest ``keep`` (at least 1) full backups are kept.

    All backups since the oldest of those are kept, and all that they build on. With fewer than
    ``keep`` full backups nothing is removed.

    Parameters
    ----------
    window
        Every time since then stays recoverable: the newest backup that ended before it is kept as
        well. While there is none, nothing is removed.
    """
    full = sorted(backup.position for backup in backups if backup.parent is None)
    since = full[-keep] if len(full) >= keep else None
    if window is not None and since is not None:
        before = [backup.position for backup in backups if backup.ended_at <= window]
        since = min(since, max(before)) if before else None
    by_name = {backup.name: backup for backup in backups}
    staying: dict[str, BaseBackup] = {}
    for backup in backups:
        if since is None or backup.position >= since:
            wanted: BaseBackup | None = backup
            while wanted is not None and wanted.name not in staying:
                staying[wanted.name] = wanted
                wanted = by_name.get(wanted.parent or "")
    going = [backup for backup in backups if backup.name not in staying]
    going.sort(key=lambda backup: _depth(backup, by_name), reverse=True)
    oldest = min(staying.values(), key=_position, default=None)
    return Retention(
        tuple(backup.name for backup in going), None if oldest is None else oldest.first_segment
    )


def _position(backup: BaseBackup) -> str:
    # Segments are ordered by their position in WAL; the timeline before it does not count.

    return backup.first_segment[8:]


def _depth(backup: BaseBackup, by_name: dict[str, BaseBackup]) -> int:
    parent = by_name.get(backup.parent or "")
    return 0 if parent is None else 1 + _depth(parent, by_name)
