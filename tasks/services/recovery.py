"""Jobs of maintenance: row counts and checksums for recovery drills, and the drills."""

from db.backup.databases import named
from db.errors import OperationError
from db.recovery import catalogue, figures, server
from db.recovery.drill import drill_recovery
from tasks.messages.backups import DrilledRecovery, RecordedFigures
from tasks.messages.maintenance import Maintain
from tasks.runs import Run

_NOT_SET_UP = "WAL is not archived: template-service pitr setup"


def record_figures(message: Maintain, run: Run) -> RecordedFigures:
    """Record row counts and checksums of all tables; skipped where WAL is not archived."""
    if not server.server_facts(run.engine).archives:
        return RecordedFigures(dry_run=message.dry_run, skipped=True, reason=_NOT_SET_UP)
    if message.dry_run:
        return RecordedFigures(dry_run=True)
    recovery = run.configuration.operations.recovery
    recorded = figures.record(run.configuration.client, run.engine, recovery)
    return RecordedFigures(
        recorded_at=recorded.at,
        tables=len(recorded.tables),
        rows=sum(facts.rows for facts in recorded.tables.values()),
    )


def drill(message: Maintain, run: Run) -> DrilledRecovery:
    """Prove that the database can be recovered; skipped where WAL is not archived.

    Row counts and checksums are recorded first, so that there is at least one moment to choose.
    """
    configuration = run.configuration
    policy = configuration.operations.recovery
    if not server.server_facts(run.engine).archives:
        return DrilledRecovery(dry_run=message.dry_run, skipped=True, reason=_NOT_SET_UP)
    if message.dry_run:
        backups = catalogue.read(policy.storage.base)
        return DrilledRecovery(dry_run=True, base=tuple(each.name for each in backups))
    reason = None
    try:
        figures.record(configuration.client, run.engine, policy)
        server.archive_now(run.engine, "template-service pitr drill")
    except OperationError as error:
        # Of archiving, which the doctor reports: what was archived before it is drilled.
        reason = str(error)
    proved = drill_recovery(
        configuration.client,
        policy,
        configuration.operations.backup,
        named(configuration.client.url),
    )
    return DrilledRecovery(
        reason=reason,
        recovered_to=proved.recovered_to,
        lsn=proved.lsn,
        base=proved.base,
        rows=proved.tables,
        segments=proved.segments,
        base_backups=proved.base_backups,
        seconds=proved.seconds,
    )
