"""Which base backups may go: a rule without a clock and without files."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.recovery.catalogue import BaseBackup


@dataclass(frozen=True, slots=True)
class Retained:
    """What stays and what goes.

    Attributes
    ----------
    remove
        Names, each before the one that it builds on, so that no moment leaves one without.
    oldest_segment
        The oldest segment of WAL that those which stay need; ``None`` when none stays.
    """

    remove: tuple[str, ...]
    oldest_segment: str | None


def retained(backups: Sequence[BaseBackup], keep: int) -> Retained:
    """Return what to remove so that the newest ``keep`` full ones stay with what builds on them.

    Everything since the oldest of those full ones stays, and whatever that builds on: never is a
    parent removed before its child. Fewer than ``keep`` full ones, and nothing goes.

    Parameters
    ----------
    backups
        All there are, in any order.
    keep
        At least 1.
    """
    full = sorted(backup.started_at for backup in backups if backup.parent is None)
    since = full[-keep] if len(full) >= keep else None
    by_name = {backup.name: backup for backup in backups}
    staying: dict[str, BaseBackup] = {}
    for backup in backups:
        if since is None or backup.started_at >= since:
            wanted: BaseBackup | None = backup
            while wanted is not None and wanted.name not in staying:
                staying[wanted.name] = wanted
                wanted = by_name.get(wanted.parent or "")
    going = [backup for backup in backups if backup.name not in staying]
    going.sort(key=lambda backup: _depth(backup, by_name), reverse=True)
    oldest = min(staying.values(), key=_place, default=None)
    return Retained(
        tuple(backup.name for backup in going), None if oldest is None else oldest.first_segment
    )


def _place(backup: BaseBackup) -> str:
    # Segments are ordered by their place; the timeline before it does not count.
    return backup.first_segment[8:]


def _depth(backup: BaseBackup, by_name: dict[str, BaseBackup]) -> int:
    parent = by_name.get(backup.parent or "")
    return 0 if parent is None else 1 + _depth(parent, by_name)
