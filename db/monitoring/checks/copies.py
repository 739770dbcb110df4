"""Checks of what is kept for a bad day: dumps, base backups, archived WAL, standbys."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from db.backup.catalogue import Catalogue
from db.errors import OperationError
from db.monitoring import ages
from db.monitoring.checks.finding import Finding, Limits, Patient
from db.units import age, size

_DUMP: Final = "template-service backup create"
_DRILL: Final = "template-service backup drill"


def archiving(patient: Patient) -> Iterator[Finding]:
    """Check that WAL is archived, so that the database can go back to any second."""
    settings, state = patient.settings, patient.reader.row("archiver")
    how = settings.get("archive_command", "?") or settings.get("archive_library", "")
    if state["mode"] == "off" or not how:
        yield Finding(
            "archiving",
            "warning",
            "WAL is not archived",
            "a lost database comes back as of its last dump, not as of a second before",
            "template-service pitr setup",
        )
    elif state["failing"]:
        yield Finding(
            "archiving_fails",
            "error",
            f"WAL could not be archived since {state['last_failed_wal']}, "
            f"{age(state['failed_age_seconds'])} ago",
            "point-in-time recovery ends there, and WAL fills the server's disk",
            "template-service pitr status (the server's log has the command's words)",
        )


def slots(patient: Patient) -> Iterator[Finding]:
    """Check that no replication slot is lost or fills the disk."""
    for slot in patient.reader.rows("slots"):
        if slot["wal_status"] == "lost":
            yield Finding(
                "slot_lost",
                "error",
                f"replication slot {slot['name']} is lost",
                "its standby can never catch up",
                f"SELECT pg_drop_replication_slot('{slot['name']}'); then template-service replica "
                "create",
            )
        elif (slot["retained_bytes"] or 0) > patient.limits.slot_bytes:
            unlimited = patient.settings["max_slot_wal_keep_size"] == "-1"
            yield Finding(
                "slot_wal",
                "warning",
                f"the server keeps {size(slot['retained_bytes'])} of WAL for replication slot "
                f"{slot['name']}, which is {'connected' if slot['active'] else 'not connected'}",
                "nothing bounds it, and the disk fills" if unlimited else "the slot will be lost",
                "start its standby, or: SELECT pg_drop_replication_slot"
                f"('{slot['name']}'); and ALTER SYSTEM SET max_slot_wal_keep_size = '10GB';",
            )


def standbys(patient: Patient) -> Iterator[Finding]:
    """Check that standbys follow, and no commit waits for one that is not there."""
    replicas = patient.reader.rows("replicas")
    if patient.settings["synchronous_standby_names"] and not any(
        row["sync_state"] in {"sync", "quorum"} for row in replicas
    ):
        yield Finding(
            "synchronous_standby",
            "error",
            "commits wait for a synchronous standby, and none is connected",
            "no write ends until it is there",
            "start the standby, or: ALTER SYSTEM RESET synchronous_standby_names; "
            "SELECT pg_reload_conf();",
        )
    for row in replicas:
        if (row["lag_bytes"] or 0) > patient.limits.standby_bytes:
            yield Finding(
                "standby_lag",
                "warning",
                f"standby {row['name']} is {size(row['lag_bytes'])} behind",
                "that much would be missing if it took over now",
                "template-service replica status",
            )


def dumps(catalogue: Catalogue, limits: Limits, now: datetime) -> Iterator[Finding]:
    """Check that a dump is young, that a restore proved one lately, and that none is in pieces."""
    try:
        entries = catalogue.entries()
        problems = catalogue.problems()
    except OperationError as error:
        yield unreachable(error)
        return
    for problem in problems:
        yield Finding(
            f"dump_{problem.kind}",
            "warning",
            problem.message,
            "the catalogue and its files do not fit, so something was lost or interrupted",
            problem.remedy,
        )
    for entry in entries:
        if entry.problem is not None:
            yield Finding(
                "dump_damaged",
                "error",
                f"the restore drill found dump {entry.name} damaged: {entry.problem}",
                "it would not bring the database back; retention keeps the older ones meanwhile",
                _DUMP,
            )
    newest, proved = ages.newest(entries), ages.last_verified(entries)
    if newest is None or now - newest > limits.dump_age:
        told = (
            "there is no full dump" if newest is None else f"the last dump is {_ago(newest, now)}"
        )
        yield Finding("dump_old", "error", told, "what came since is lost with the database", _DUMP)
    if proved is None or now - proved > limits.verified_age:
        told = (
            "no dump was proved by a restore"
            if proved is None
            else f"the last dump was proved by a restore {_ago(proved, now)}"
        )
        yield Finding("dump_unverified", "error", told, "it may not bring anything back", _DRILL)


def unreachable(error: OperationError) -> Finding:
    """Return what it means that the dumps cannot be looked at."""
    return Finding(
        "dumps_unreachable",
        "error",
        f"the dumps cannot be looked at: {error.message}",
        "nobody knows whether there are any",
        error.remedy,
    )


def base_backups(finished: Sequence[datetime], limits: Limits, now: datetime) -> Iterator[Finding]:
    """Check that there is a young base backup to begin a point-in-time recovery from.

    Parameters
    ----------
    finished
        When each base backup that passed its verification was finished.
    """
    newest = max(finished, default=None)
    if newest is None or now - newest > limits.base_backup_age:
        yield Finding(
            "base_backup_old",
            "warning",
            "there is no base backup"
            if newest is None
            else f"the last base backup is {_ago(newest, now)}",
            "a recovery to a point in time begins with one, and replays all WAL since",
            "template-service pitr base-backup",
        )


def _ago(then: datetime, now: datetime) -> str:
    return f"{age((now - then).total_seconds())} old"
