"""Retention of backups, as a pure function."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


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
    """

    name: str
    taken_at: datetime
    verified: bool
    sound: bool = True
    whole: bool = True


def expired(
    backups: Sequence[Dump], now: datetime, keep_days: int, keep_verified: int
) -> list[Dump]:
    """Return the backups to delete, in the order given.

    - Backups that are at most ``keep_days`` days old are kept.
    - The newest full backup is kept.
    - The newest ``keep_verified`` verified full backups are kept.
    - All are kept when there is no full backup, or when the newest one is not sound.
    """
    kept = reasons(backups, now, keep_days, keep_verified)
    return [backup for backup in backups if backup.name not in kept]


def reasons(
    backups: Sequence[Dump], now: datetime, keep_days: int, keep_verified: int
) -> dict[str, str]:
    """Return the reason to keep each backup that has not expired, by its name."""
    full = sorted(
        (backup for backup in backups if backup.whole),
        key=lambda backup: (backup.taken_at, backup.name),
        reverse=True,
    )
    if not full or not full[0].sound:
        return dict.fromkeys((backup.name for backup in backups), "the newest is not sound")
    oldest = now - timedelta(days=keep_days)
    kept = {
        backup.name: f"at most {keep_days} days old"
        for backup in backups
        if backup.taken_at >= oldest
    }
    verified = [backup for backup in full if backup.verified][:keep_verified]
    kept |= {
        backup.name: f"one of the newest {keep_verified} verified backups" for backup in verified
    }
    return kept | {full[0].name: "the newest"}
