"""Which base backup and which WAL lead to a target, found before anything is built."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.cluster.programs import Programs
from db.errors import OperationError
from db.recovery import catalogue
from db.recovery.catalogue import BaseBackup
from db.recovery.policy import RecoveryPolicy
from db.recovery.segments import Archive, Coverage, coverage, leads_to, route
from db.recovery.target import Target
from db.recovery.transactions import has_end, has_restore_point, last_end

_STATUS = "template-service pitr status lists what there is"


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to the target.

    Attributes
    ----------
    chain
        The base backups, the full one first.
    timeline
        The one to recover along.
    names
        The segments of WAL in the archive from the backup's end on.
    """

    chain: tuple[BaseBackup, ...]
    timeline: int
    names: tuple[str, ...]


def choose(
    programs: Programs,
    policy: RecoveryPolicy,
    target: Target,
    *,
    base: str | None = None,
    timeline: int | None = None,
) -> Choice:
    """Return the newest base backup that ended before the target, and the WAL from there on.

    Raises
    ------
    OperationError
        ``no_base_backup``, ``parent_missing``, ``wal_gap``, ``wal_damaged``,
        ``target_not_reached`` or ``target_before_backup``, saying what can be reached.
    """
    backups = catalogue.read(policy.base)
    if not backups or not policy.wal.is_dir():
        raise nothing_there(policy)
    archive = Archive.read(policy.wal, backups[-1].segment_bytes)
    along = timeline or archive.newest_timeline
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
            "no_base_backup", f"no such base backup leads to timeline {along}", _STATUS
        )
    ways = {backup.name: covered(archive, backup, along) for backup in candidates}
    chosen = _chosen(programs, archive, target, candidates, ways)
    _check(programs, archive, target, chosen, ways[chosen.name])
    chain = catalogue.chain(backups, chosen.name)
    return Choice(tuple(chain), along, ways[chosen.name].names)


def nothing_there(policy: RecoveryPolicy) -> OperationError:
    """Return the error for a folder without base backups."""
    return OperationError(
        "no_base_backup",
        f"there is no base backup in {policy.base}",
        "set TEMPLATE_SERVICE_RECOVERY_DIRECTORY to the folder that has them",
    )


def covered(archive: Archive, backup: BaseBackup, timeline: int | None = None) -> Coverage:
    """Return how far the archive reaches from a base backup.

    Without ``timeline`` it goes along the newest one that the backup leads to.
    """
    along = timeline or archive.newest_timeline
    if timeline is None and not leads_to(archive.history, backup.timeline, backup.stop, along):
        along = backup.timeline
    pieces = route(archive.history, backup.timeline, backup.stop, along, archive.segment_bytes)
    return coverage(archive, pieces)


def reach(programs: Programs, archive: Archive, found: Coverage, backup: BaseBackup) -> str:
    """Return in words how far one can go from a base backup."""
    last, _ = last_end(programs, archive, found.names)
    if last is None:
        return f"nothing after base backup {backup.name} can be reached"
    return (
        f"from base backup {backup.name} one can go back to any time from "
        f"{backup.ended_at.isoformat()} to {last.isoformat()}"
    )


def _chosen(
    programs: Programs,
    archive: Archive,
    target: Target,
    candidates: Sequence[BaseBackup],
    ways: dict[str, Coverage],
) -> BaseBackup:
    newer: tuple[str, ...] = ()
    for backup in candidates:
        names = ways[backup.name].names
        # Where the newer backup begins, its WAL was searched already.
        part = names[: names.index(newer[0]) + 1] if newer and newer[0] in names else names
        if _leads_to(programs, archive, target, backup, part):
            return backup
        newer = names
    oldest = candidates[-1]
    if target.time is not None:
        raise OperationError(
            "target_before_backup",
            f"{target} is before the first base backup, which ended at "
            f"{oldest.ended_at.isoformat()}",
            _STATUS,
        )
    found = ways[oldest.name]
    raise OperationError(
        found.kind or "target_not_reached",
        f"{target} is not in the archived WAL"
        + (f", of which {found.fault}" if found.fault else "")
        + f"; {reach(programs, archive, found, oldest)}",
        "name another target; template-service pitr transactions lists what was committed",
    )


def _leads_to(
    programs: Programs, archive: Archive, target: Target, backup: BaseBackup, names: Sequence[str]
) -> bool:
    if target.time is not None:
        return backup.ended_at <= target.time
    if target.restore_point is not None:
        return has_restore_point(programs, archive, names, target.restore_point, backup.stop)
    if target.before_transaction is not None:
        return has_end(programs, archive, names, target.short_transaction, backup.stop)
    return True


def _check(
    programs: Programs, archive: Archive, target: Target, backup: BaseBackup, found: Coverage
) -> None:
    """Refuse what the WAL behind a base backup does not reach; the others were found in it."""
    if target.time is not None:
        last, _ = last_end(programs, archive, found.names)
        if last is not None and target.time < last:
            return
    elif target != Target() or found.fault is None:
        return
    told = reach(programs, archive, found, backup)
    if found.fault is not None:
        raise OperationError(
            found.kind,
            f"{found.fault} in {archive.folder}, and {target} lies behind it; {told}",
            "restore to such a time, or from a base backup after the gap, and take a new base "
            "backup: template-service pitr base-backup --full",
        )
    raise OperationError(
        "target_not_reached",
        f"the archived WAL ends before {target}; {told}",
        "restore everything that was archived: --latest",
    )
