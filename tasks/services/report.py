"""The figures of ``maintenance.report``: of the database, the dumps and the broker."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Engine

from db import runs
from db.backup.catalogue import is_future, open_catalogue
from db.backup.policy import BackupPolicy
from db.backup.source import Source
from db.errors import OperationError
from db.monitoring import ages
from db.monitoring.figures import Figures, figures
from db.recovery.facts import recovery_facts
from db.recovery.policy import RecoveryPolicy
from db.session import autocommitting
from tasks.broker import Backlog
from tasks.messages.maintenance import Maintain
from tasks.messages.report import ReplicaFigures, Report, StatementFigures
from tasks.runs import Run
from tasks.services import metrics


def publish(message: Maintain, run: Run) -> Report:
    """Return the figures of this moment; a dry run writes no file of metrics."""
    operations = run.configuration.operations
    backlog = run.process.broker.backlog()
    result = report(run.engine, operations.backup, backlog, operations.recovery)
    if operations.metrics_file and not message.dry_run:
        metrics.write(result, operations.metrics_file)
    return result


def report(
    engine: Engine,
    policy: BackupPolicy,
    backlog: Backlog | None,
    recovery: RecoveryPolicy | None = None,
) -> Report:
    """Return the figures of this moment.

    Parameters
    ----------
    engine
        Connects with the maintenance role.
    policy
        Where the dumps are.
    backlog
        The figures of the broker, None when it did not answer.
    recovery
        Where base backups and archived WAL are.
    """
    database = figures(engine)
    now = datetime.now(UTC)
    dumps = _dumps(engine, policy, now)
    of_recovery = {} if recovery is None else _of_recovery(recovery, now)
    unknown = [] if database.tables is not None else ["tables: locked"]
    unknown += [] if dumps.problem is None else [f"backups: {dumps.problem}"]
    unknown += [] if of_recovery is not None else ["recovery: unreadable"]
    unknown += [] if backlog is not None else ["queues: no answer"]
    return Report(
        at=now,
        **_of_database(database),
        backup_age_seconds=dumps.newest,
        backup_verified_age_seconds=dumps.verified,
        **(of_recovery or {}),
        failed_runs={
            run.task: _seconds(run.finished_at, now) or 0.0 for run in runs.failed(engine)
        },
        **_of_broker(backlog),
        unconsumed=None
        if backlog is None or backlog.unconsumed is None
        else {**backlog.unconsumed},
        unknown=unknown,
    )


class _Dumps(NamedTuple):
    """Ages in seconds, or the kind of what keeps them unknown."""

    newest: float | None = None
    verified: float | None = None
    problem: str | None = None


def _dumps(engine: Engine, policy: BackupPolicy, now: datetime) -> _Dumps:
    with autocommitting(engine) as connection:
        source = Source.of(connection)
    try:
        entries = open_catalogue(policy, source).regular()
    except OperationError as error:
        return _Dumps(problem=error.kind)
    return _Dumps(_seconds(ages.newest(entries), now), _seconds(ages.last_verified(entries), now))


def _of_recovery(policy: RecoveryPolicy, now: datetime) -> dict[str, object] | None:
    """Return the fields about recovery; ``None`` if they cannot be read."""
    try:
        facts = recovery_facts(policy)
    except (OSError, OperationError):
        return None
    proved = facts.drills.proved
    ended_at = [backup.ended_at for backup in facts.base_backups]
    newest = max((end for end in ended_at if not is_future(end, now)), default=None)
    return {
        "base_backup_age_seconds": _seconds(newest, now),
        "recovery_earliest_age_seconds": _seconds(facts.earliest, now),
        "recovery_latest_age_seconds": _seconds(facts.latest, now),
        "recovery_gaps": facts.gaps if facts.base_backups else None,
        "recovery_proved_age_seconds": _seconds(
            None if proved is None else proved.finished_at, now
        ),
        "recovery_drill_failed": facts.drills.problem is not None,
    }


def _seconds(then: datetime | None, now: datetime) -> float | None:
    return None if then is None else round((now - then).total_seconds(), 3)


def _of_broker(backlog: Backlog | None) -> dict[str, object]:
    letters = None if backlog is None else backlog.dead_letters
    return {
        "queues": None if backlog is None else dict(backlog.queues),
        "dead_letters": letters and letters.count,
        "dead_letters_bytes": letters and letters.size,
        "dead_letters_oldest_age_seconds": letters and letters.oldest_age_seconds,
        "dead_letters_dropped": letters and letters.dropped,
    }


def _of_database(database: Figures) -> dict[str, object]:
    return {
        **database.figures,
        "table_bytes": None
        if database.tables is None
        else {row["relation"]: row["total_bytes"] for row in database.tables},
        "slow_statements": None
        if database.statements is None
        else [StatementFigures(**row) for row in database.statements],
        "replicas": {
            row["name"]: ReplicaFigures(lag_bytes=row["lag_bytes"], lag_seconds=row["lag_seconds"])
            for row in database.replicas
        },
        "slot_retained_bytes": {row["name"]: row["retained_bytes"] for row in database.slots},
        "archiving": database.archiver["mode"] != "off",
        "archive_failures": database.archiver["failed_count"],
        "archived_age_seconds": database.archiver["archived_age_seconds"],
    }
