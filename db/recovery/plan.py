"""The recovery plan: the base backup and the WAL that lead to a target."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from db.cluster.programs import Programs
from db.errors import Kind, OperationError
from db.recovery import catalogue
from db.recovery.catalogue import BaseBackup
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import Archive, Coverage, coverage, leads_to, route
from db.recovery.target import Target
from db.recovery.transactions import ends_until, has_end, has_record, has_restore_point, last_end

_STATUS = "template-service pitr status lists the base backups and the recoverable time range"


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """A way to the target.

    Attributes
    ----------
    chain
        The base backups, the full one first.
    timeline
        The timeline to follow.
    names
        The archived WAL segments from the backup's end on.
    """

    chain: tuple[BaseBackup, ...]
    timeline: int
    names: tuple[str, ...]


def plan_recovery(
    programs: Programs,
    policy: RecoveryPolicy,
    target: Target,
    *,
    base: str | None = None,
    timeline: int | None = None,
) -> RecoveryPlan:
    """Return the newest base backup that ended before the target, and the WAL from there on.

    Raises OperationError: ``no_base_backup``, ``parent_missing``, ``wal_gap``, ``wal_damaged``,
    ``target_not_reached`` or ``target_before_backup``, with the recoverable time range;
    ``target_abandoned``: only another timeline has the target.
    """
    backups, archive = open_archive(policy)
    along = timeline or archive.newest_timeline
    if timeline is None and target.time is not None:
        _refuse_abandoned(programs, archive, target, target.time, along)
    candidates = [
        backup
        for backup in reversed(backups)
        if leads_to(archive.history, backup.timeline, backup.stop, along)
    ]
    if base is not None:
        catalogue.chain(backups, base)
        candidates = [backup for backup in candidates if backup.name == base]
    if not candidates:
        raise OperationError(
            Kind.NO_BASE_BACKUP, f"no base backup leads to timeline {along}", _STATUS
        )
    ways = {backup.name: covered(archive, backup, along) for backup in candidates}
    backup = _newest_before(programs, archive, target, candidates, ways)
    _check_end(programs, archive, target, backup, ways[backup.name])
    chain = catalogue.chain(backups, backup.name)
    return RecoveryPlan(tuple(chain), along, ways[backup.name].names)


def open_archive(policy: RecoveryPolicy) -> tuple[list[BaseBackup], Archive]:
    """Return the base backups, the oldest first, and the archived WAL (``no_base_backup``)."""
    backups = catalogue.read(policy.storage.base)
    if not backups or not policy.storage.wal.is_dir():
        raise no_base_backup(policy)
    return backups, Archive.of(policy, backups[-1].segment_bytes, backups[-1].system)


def no_base_backup(policy: RecoveryPolicy) -> OperationError:
    """Return the error for a directory without base backups."""
    return OperationError(
        Kind.NO_BASE_BACKUP,
        f"no base backup in {policy.storage.base}",
        "set TEMPLATE_SERVICE_RECOVERY_DIRECTORY, or TEMPLATE_SERVICE_RECOVERY_TARGET, to where "
        "they are",
    )


def covered(archive: Archive, backup: BaseBackup, timeline: int | None = None) -> Coverage:
    """Return the archived WAL that follows a base backup.

    Without ``timeline`` the newest one that the backup leads to is followed.
    """
    along = timeline or archive.newest_timeline
    if timeline is None and not leads_to(archive.history, backup.timeline, backup.stop, along):
        along = backup.timeline
    pieces = route(archive.history, backup.timeline, backup.stop, along, archive.segment_bytes)
    return coverage(archive, pieces)


def _refuse_abandoned(
    programs: Programs, archive: Archive, target: Target, time: datetime, along: int
) -> None:
    """Refuse a time that exists only on an abandoned timeline.

    The newest timeline would end before it, at the older state where it began.
    """
    way = [*archive.history.get(along, ()), (along, 0)]
    for (left, end), (successor, _) in pairwise(way):
        if ends_until(programs, archive, archive.segments_of(successor, end), time, end):
            continue
        if ends_until(programs, archive, archive.segments_of(left, end), time, end):
            raise OperationError(
                "target_abandoned",
                f"{target} is on timeline {left} only, which a recovery left for timeline "
                f"{successor} before that time",
                f"pass --timeline {left} to restore it, or --timeline {along} for the state in "
                f"which timeline {successor} began",
            )


def _time_range(programs: Programs, archive: Archive, wal: Coverage, backup: BaseBackup) -> str:
    last, _ = last_end(programs, archive, wal.names)
    if last is None:
        return f"no time after base backup {backup.name} is recoverable"
    return (
        f"base backup {backup.name} can be recovered to any time from "
        f"{backup.ended_at.isoformat()} to {last.isoformat()}"
    )


def _newest_before(
    programs: Programs,
    archive: Archive,
    target: Target,
    candidates: Sequence[BaseBackup],
    ways: dict[str, Coverage],
) -> BaseBackup:
    newer: tuple[str, ...] = ()
    for backup in candidates:
        names = ways[backup.name].names
        # From the start of the newer backup on, the WAL was searched already.
        part = names[: names.index(newer[0]) + 1] if newer and newer[0] in names else names
        if _leads_to(programs, archive, target, backup, part):
            return backup
        newer = names
    oldest = candidates[-1]
    if target.time is not None or target.lsn is not None:
        raise OperationError(
            Kind.TARGET_BEFORE_BACKUP,
            f"{target} is before the first base backup, which ended at "
            f"{oldest.stop_lsn if target.time is None else oldest.ended_at.isoformat()}",
            _STATUS,
        )
    wal = ways[oldest.name]
    _refuse_other_timeline(programs, archive, target)
    raise OperationError(
        wal.kind or "target_not_reached",
        f"{target} is not in the archived WAL"
        + (f" ({wal.fault})" if wal.fault else "")
        + f"; {_time_range(programs, archive, wal, oldest)}",
        "pass another target; template-service pitr transactions lists committed transactions",
    )


def _leads_to(
    programs: Programs, archive: Archive, target: Target, backup: BaseBackup, names: Sequence[str]
) -> bool:
    if target.time is not None:
        return backup.ended_at <= target.time
    if target.lsn is not None:
        return backup.stop <= target.lsn
    return target == Target() or _has_name(programs, archive, target, names, backup.stop)


def _has_name(
    programs: Programs, archive: Archive, target: Target, names: Sequence[str], after: int
) -> bool:
    """Return whether segments have the restore point or the transaction's end after an LSN.

    Of an LSN: whether they have it.
    """
    if target.restore_point is not None:
        return has_restore_point(programs, archive, names, target.restore_point, after)
    if target.lsn is not None:
        return has_record(programs, archive, names, target.lsn)
    return has_end(programs, archive, names, target.short_transaction, after)


def _timeline_with(programs: Programs, archive: Archive, target: Target) -> int | None:
    """Return the newest timeline that has a restore point, a transaction's end, or an LSN."""
    for timeline in reversed(archive.timelines):
        for name in archive.segments_of(timeline, 0):
            # By itself, since some in between may be missing or damaged.
            with suppress(OperationError):
                if _has_name(programs, archive, target, [name], 0):
                    return timeline
    return None


def _refuse_other_timeline(programs: Programs, archive: Archive, target: Target) -> None:
    if (left := _timeline_with(programs, archive, target)) is not None:
        raise OperationError(
            "target_abandoned",
            f"{target} is on timeline {left} only",
            f"pass --timeline {left} to restore it",
        )


def _check_end(
    programs: Programs, archive: Archive, target: Target, backup: BaseBackup, wal: Coverage
) -> None:
    """Refuse a time that the WAL does not reach; the other targets were found in it."""
    if target.time is not None:
        last, _ = last_end(programs, archive, wal.names)
        if last is not None and target.time < last:
            return
    elif target.lsn is not None:
        if has_record(programs, archive, wal.names, target.lsn):
            return
        if wal.fault is None:
            _refuse_other_timeline(programs, archive, target)
    elif target != Target() or wal.fault is None:
        return
    time_range = _time_range(programs, archive, wal, backup)
    if wal.fault is not None:
        raise OperationError(
            wal.kind,
            f"{wal.fault} in {archive.folder}, before {target}; {time_range}",
            "restore to a time in that range, or from a base backup after the gap, and take a new "
            "base backup: template-service pitr base-backup --full",
        )
    raise OperationError(
        "target_not_reached",
        f"the archived WAL ends before {target}; {time_range}",
        "restore everything that was archived: --latest",
    )
