"""Which backups have expired: a pure function of what is known about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Dump:
    """What retention looks at.

    Attributes
    ----------
    taken_at
        The database as of when it holds.
    verified
        A restore drill proved it, and its files are still there.
    sound
        Nothing is known to be wrong with it.
    whole
        It is a full backup; the others only expire by age, and spare no full one.
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

    - What is not older than ``keep_days`` days stays.
    - The newest full backup stays.
    - The newest ``keep_verified`` verified full backups stay.
    - Nothing goes when the newest full backup is not sound, or when there is none.
    """
    kept = reasons(backups, now, keep_days, keep_verified)
    return [backup for backup in backups if backup.name not in kept]


def reasons(
    backups: Sequence[Dump], now: datetime, keep_days: int, keep_verified: int
) -> dict[str, str]:
    """Return why each backup that stays does, by its name; the rest has expired."""
    full = sorted(
        (backup for backup in backups if backup.whole),
        key=lambda backup: (backup.taken_at, backup.name),
        reverse=True,
    )
    if not full or not full[0].sound:
        return dict.fromkeys((backup.name for backup in backups), "the newest is not sound")
    oldest = now - timedelta(days=keep_days)
    kept = {
        backup.name: f"it is not older than {keep_days} days"
        for backup in backups
        if backup.taken_at >= oldest
    }
    verified = [backup for backup in full if backup.verified][:keep_verified]
    kept |= {
        backup.name: f"it is one of the newest {keep_verified} that a restore has proved"
        for backup in verified
    }
    return kept | {full[0].name: "it is the newest"}
