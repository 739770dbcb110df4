"""State of recovery for monitoring each minute, from names, sizes and times of files alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from db.recovery import catalogue
from db.recovery.catalogue import BaseBackup
from db.recovery.drill import DrillRecord, read_record
from db.recovery.plan import covered
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import Archive


@dataclass(frozen=True, slots=True)
class RecoveryFacts:
    """State of base backups, archive and drills.

    Attributes
    ----------
    base_backups
        All that are complete, the oldest first.
    earliest, latest
        The recoverable time range up to the first gap after the newest base backup: the end of
        the oldest base backup, and when its last segment was archived. ``None`` without one.
    gaps
        Number of base backups after which a segment is missing or has a wrong size.
    drills
        What is known of recovery drills.
    """

    base_backups: Sequence[BaseBackup]
    earliest: datetime | None
    latest: datetime | None
    gaps: int
    drills: DrillRecord


def recovery_facts(policy: RecoveryPolicy) -> RecoveryFacts:
    """Return the facts. No segment is opened: an archive may have tens of thousands.

    Raises OSError: the directories cannot be read.
    """
    backups = catalogue.read(policy.storage.base)
    drills = read_record(policy)
    if not backups:
        return RecoveryFacts([], None, None, 0, drills)
    archive = Archive.of(policy, backups[-1].segment_bytes)
    ways = [covered(archive, backup) for backup in backups]
    latest = min(backups[-1].ended_at, datetime.now(UTC))
    if ways[-1].names:
        archived = archive.path(ways[-1].names[-1]).stat().st_mtime
        latest = max(latest, datetime.fromtimestamp(archived, UTC))
    gaps = sum(way.fault is not None for way in ways)
    missing = 0 if policy.storage.wal.is_dir() else len(backups)
    return RecoveryFacts(
        backups, min(backup.ended_at for backup in backups), latest, gaps or missing, drills
    )
