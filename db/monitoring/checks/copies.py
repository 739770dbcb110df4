"""Checks of dumps, base backups, archived WAL and standbys."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from db.backup.catalogue import Catalogue, is_future
from db.cluster import owned
from db.errors import OperationError
from db.monitoring import ages
from db.monitoring.checks.finding import CheckContext, Finding, Limits
from db.printed import identifier, literal
from db.recovery.drill import DrillRecord
from db.runs import Run
from db.units import age, counted, size

_DUMP: Final = "template-service backup create"
_DRILL: Final = "template-service backup drill"


def archiving(context: CheckContext) -> Iterator[Finding]:
    """Check that WAL is archived, for point-in-time recovery."""
    settings, state = context.settings, context.reader.row("archiver")
    how = settings.get("archive_command", "?") or settings.get("archive_library", "")
    if state["mode"] == "off" or not how:
        yield Finding(
            "archiving",
            "warning",
            "WAL is not archived",
            "a lost database can be restored to its last dump only, not to the second before",
            "template-service pitr setup",
        )
    elif state["failing"]:
        yield Finding(
            "archiving_fails",
            "error",
            f"WAL could not be archived since {state['last_failed_wal']}, "
            f"{age(state['failed_age_seconds'])} ago",
            "point-in-time recovery ends there, and WAL fills the server's disk",
            "template-service pitr status (the server's log has the command's output)",
        )


def slots(context: CheckContext) -> Iterator[Finding]:
    """Check that no replication slot is lost or fills the disk."""
    for slot in context.reader.rows("slots"):
        if slot["wal_status"] == "lost":
            yield Finding(
                "slot_lost",
                "error",
                f"replication slot {slot['name']} is lost",
                "its standby can never catch up",
                f"SELECT pg_drop_replication_slot({literal(slot['name'])}); then template-service "
                "replica create",
            )
        elif (slot["retained_bytes"] or 0) > context.limits.slot_bytes:
            unlimited = context.settings["max_slot_wal_keep_size"] == "-1"
            yield Finding(
                "slot_wal",
                "warning",
                f"the server retains {size(slot['retained_bytes'])} of WAL for replication slot "
                f"{slot['name']}, which is {'connected' if slot['active'] else 'not connected'}",
                "no limit is set, and the disk fills" if unlimited else "the slot will be lost",
                "start its standby, or: SELECT pg_drop_replication_slot"
                f"({literal(slot['name'])}); and ALTER SYSTEM SET max_slot_wal_keep_size = '10GB';",
            )


def standbys(context: CheckContext) -> Iterator[Finding]:
    """Check that standbys do not lag, and that no commit waits for a disconnected one."""
    replicas = context.reader.rows("replicas")
    if context.settings["synchronous_standby_names"] and not any(
        row["sync_state"] in {"sync", "quorum"} for row in replicas
    ):
        yield Finding(
            "synchronous_standby",
            "error",
            "commits wait for a synchronous standby, and none is connected",
            "all writes block until it connects",
            "start the standby, or: ALTER SYSTEM RESET synchronous_standby_names; "
            "SELECT pg_reload_conf();",
        )
    for row in replicas:
        if (row["lag_bytes"] or 0) > context.limits.standby_bytes:
            yield Finding(
                "standby_lag",
                "warning",
                f"standby {row['name']} lags by {size(row['lag_bytes'])}",
                "that much would be missing after a failover now",
                "template-service replica status",
            )


def dumps(catalogue: Catalogue, limits: Limits, now: datetime) -> Iterator[Finding]:
    """Check that a recent dump exists, that a drill verified one, and that none is incomplete."""
    try:
        entries = catalogue.regular()
        problems = catalogue.problems()
    except OperationError as error:
        yield unreachable(error)
        return
    for problem in problems:
        yield Finding(
            f"dump_{problem.kind}",
            "warning",
            problem.message,
            "the catalog does not match the files: files were lost, or a backup was interrupted",
            problem.remedy,
        )
    for entry in entries:
        if entry.problem is not None:
            yield Finding(
                "dump_damaged",
                "error",
                f"the restore drill found dump {entry.name} damaged: {entry.problem}",
                "it would not restore the database; retention keeps the older ones meanwhile",
                _DUMP,
            )
    yield from _from_before(catalogue, now)
    newest, proved = ages.newest(entries), ages.last_verified(entries)
    if newest is None or now - newest > limits.dump_age:
        what = "no full dump exists" if newest is None else f"the last dump is {_old(newest, now)}"
        yield Finding(
            "dump_old", "error", what, "newer data would be lost with the database", _DUMP
        )
    if proved is None or now - proved > limits.verified_age:
        what = (
            "no dump was verified by a restore drill"
            if proved is None
            else f"the last successful restore drill is {_old(proved, now)}"
        )
        yield Finding("dump_unverified", "error", what, "the dumps may be unusable", _DRILL)


def _from_before(catalogue: Catalogue, now: datetime) -> Iterator[Finding]:
    """Report dumps of a database of this name on another server, which may be this one's past.

    These dumps are older than all of this server. Two servers that share a target dump alternately.
    """
    source = catalogue.source
    if source is None:
        return
    first = min((entry.started_at for entry in catalogue.own()), default=now)
    known = [
        entry
        for entry in catalogue.entries()
        if entry.database == source.database
        and entry.contents == "full"
        and catalogue.is_foreign(entry)
    ]
    if known and all(entry.started_at < first for entry in known):
        yield Finding(
            "dumps_of_another_server",
            "notice",
            f"{counted(len(known), 'dump')} of a database {source.database} on another server, "
            f"the newest {known[0].name}",
            "after initdb or pg_upgrade the server has another system identifier: its own older "
            "dumps are foreign, neither counted nor verified nor deleted",
            f"to restore one, name it: template-service backup restore {known[0].name} --foreign; "
            "delete the files of dumps that are no longer needed",
        )


def leftovers(directories: Iterable[Path], databases: Mapping[str, str]) -> Iterator[Finding]:
    """Report temporary directories and scratch databases of killed processes.

    Parameters
    ----------
    directories
        Where temporary directories are created.
    databases
        Result of :func:`db.backup.scratch.orphans`.
    """
    for base in directories:
        for path, owner in owned.orphans(base).items():
            process = "a killed process" if owner is None else f"process {owner}, which was killed"
            yield Finding(
                "temporary_directory",
                "warning",
                f"{path} was left behind by {process}",
                "it takes space, and may hold parts of a dump",
                "the next drill or restore removes it: template-service backup drill",
            )
    for name, comment in databases.items():
        yield Finding(
            "scratch_database",
            "warning",
            f"database {name} was left behind ({comment})",
            "it takes the space of a copy of the database",
            f"the next restore drops it, or: DROP DATABASE {identifier(name)};",
        )


def unreachable(error: OperationError) -> Finding:
    """Return the finding that the dumps cannot be read."""
    return Finding(
        "dumps_unreachable",
        "error",
        f"the dumps cannot be read: {error.message}",
        "it is unknown whether there are any dumps",
        error.remedy,
    )


def unreadable(directory: Path, error: OSError | OperationError) -> Finding:
    """Return the finding that base backups and WAL cannot be read."""
    if isinstance(error, OperationError):
        reason, remedy = error.message, error.remedy
    else:
        reason = f"{directory} cannot be read: {error.strerror}"
        remedy = "check TEMPLATE_SERVICE_RECOVERY_DIRECTORY and its permissions"
    return Finding(
        "recovery_unreadable",
        "error",
        reason,
        "point-in-time recovery cannot be checked",
        remedy,
    )


def base_backups(finished: Sequence[datetime], limits: Limits, now: datetime) -> Iterator[Finding]:
    """Check that a recent base backup exists, from the end times of the verified ones."""
    for end in (end for end in finished if is_future(end, now)):
        yield Finding(
            "base_backup_future",
            "warning",
            f"a base backup ended at {end:%Y-%m-%d %H:%M:%S} UTC, which is in the future",
            "the server's clock was wrong: until then no recovery to a time starts from it",
            "correct the clock, then: template-service pitr base-backup --full",
        )
    newest = max((end for end in finished if not is_future(end, now)), default=None)
    if newest is None or now - newest > limits.base_backup_age:
        yield Finding(
            "base_backup_old",
            "warning",
            "no base backup exists"
            if newest is None
            else f"the last base backup is {_old(newest, now)}",
            "point-in-time recovery starts from a base backup, and replays all WAL since",
            "template-service pitr base-backup",
        )


def interrupted(names: Iterable[str]) -> Iterator[Finding]:
    """Report the result of :func:`db.recovery.catalogue.interrupted`."""
    for name in names:
        yield Finding(
            "base_backup_interrupted",
            "warning",
            f"{name} was left behind by an interrupted base backup",
            "it takes up to the space of the whole server",
            "the next one removes it: template-service pitr base-backup",
        )


def wal(problems: Sequence[str]) -> Iterator[Finding]:
    """Report problems of the archived WAL, of :func:`db.recovery.status.archive_problems`."""
    for problem in problems:
        yield Finding(
            "wal_archive",
            "error",
            problem,
            "point-in-time recovery from an older base backup ends there",
            "template-service pitr base-backup --full, then template-service pitr status",
        )


def recovery(
    drills: DrillRecord, base_backups: Sequence[datetime], limits: Limits, now: datetime
) -> Iterator[Finding]:
    """Check that a recovery drill proved a recovery, once there was time for one.

    Parameters
    ----------
    base_backups
        The end times of the verified ones.
    """
    if drills.problem is not None:
        yield Finding(
            "recovery_failed",
            "error",
            f"the last recovery drill failed: {drills.problem}",
            "recovery to some or all times would fail or give different data",
            "template-service pitr verify, then template-service pitr drill",
        )
    last = None if drills.proved is None else drills.proved.finished_at
    since = min(base_backups, default=None) if last is None else last
    if since is not None and now - since > limits.verified_age:
        yield Finding(
            "recovery_unproved",
            "warning",
            "no recovery was proved by a drill"
            if last is None
            else f"the last proved recovery is {_old(last, now)}",
            "archived WAL and base backups may be unusable",
            "template-service pitr drill",
        )


def failed_runs(failed: Sequence[Run], now: datetime) -> Iterator[Finding]:
    """Report maintenance tasks whose newest run failed."""
    for run in failed:
        ago = "" if run.finished_at is None else f" {_old(run.finished_at, now)[:-4]} ago"
        yield Finding(
            "run_failed",
            "warning",
            f"{run.task} failed{ago}: {run.error}",
            "it has not succeeded since",
            f"template-service maintenance history --task {run.task.partition('.')[2]}",
        )


def _old(then: datetime, now: datetime) -> str:
    return f"{age((now - then).total_seconds())} old"
