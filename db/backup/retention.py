"""Retention of backups, as a pure function."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.backup.catalogue import is_future


@dataclass(frozen=True, slots=True)
class Dump:
    """The facts about a backup that retention depends on.

    Attributes
    ----------
    taken_at
        Time of the database state that it holds.
    verified
        Whether a restore drill verified it, and its files still exist.
    sound
        Whether no problem is known.
    whole
        Whether it is a full backup; the others expire by age only, and do not count as newer ones.
    safety
        Whether it is the state before a restore, which expires by an age of its own and does not
        count.
    """

    name: str
    taken_at: datetime
    verified: bool
    sound: bool = True
    whole: bool = True
    safety: bool = False


def reasons(
    backups: Sequence[Dump],
    now: datetime,
    keep_days: int,
    keep_verified: int,
    keep_safety_days: int = 14,
) -> dict[str, str]:
    """Return the reason to keep each backup, by its name; the others expire.

    - Backups that are at most ``keep_days`` days old are kept, safety backups
      ``keep_safety_days``.
    - Backups that are dated in the future are kept, and do not count.
    - The newest full backup is kept.
    - The newest ``keep_verified`` verified full backups are kept.
    - All are kept when there is no full backup, or when the newest one is not sound.
    """
    full = sorted(
        (
            backup
            for backup in backups
            if backup.whole and not backup.safety and not is_future(backup.taken_at, now)
        ),
        key=lambda backup: (backup.taken_at, backup.name),
        reverse=True,
    )
    if not full or not full[0].sound:
        return dict.fromkeys((backup.name for backup in backups), "the newest is not sound")
    kept = {}
    for backup in backups:
        days = keep_safety_days if backup.safety else keep_days
        if is_future(backup.taken_at, now):
            kept[backup.name] = "dated in the future"
        elif backup.taken_at >= now - timedelta(days=days):
            kept[backup.name] = f"at most {days} days old"
    verified = [backup for backup in full if backup.verified][:keep_verified]
    kept |= {
        backup.name: f"one of the newest {keep_verified} verified backups" for backup in verified
    }
    return kept | {full[0].name: "the newest"}
