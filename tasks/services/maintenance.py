"""Maintenance of the tables, for the tasks and the commands of the same names."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from db.maintenance import prune_records as records
from db.maintenance import prune_versions as versions
from db.maintenance import purge_templates as templates
from db.maintenance import reindex as indexes
from db.maintenance import tables
from db.maintenance.batches import Deleted
from db.session import make_engine
from tasks.messages.maintenance import DeletedRows, Maintain, MaintainedTables, PrunedRecords
from tasks.runtime import Runtime


def vacuum(message: Maintain, process: Runtime) -> MaintainedTables:
    """Vacuum the tables and update the planner's statistics."""
    with _engine(process) as engine:
        return _tables(message, tables.vacuum(engine, dry_run=message.dry_run))


def analyze(message: Maintain, process: Runtime) -> MaintainedTables:
    """Update the planner's statistics."""
    with _engine(process) as engine:
        return _tables(message, tables.analyze(engine, dry_run=message.dry_run))


def reindex(message: Maintain, process: Runtime) -> MaintainedTables:
    """Rebuild the indexes, one after the other."""
    with _engine(process) as engine:
        return _tables(message, indexes.reindex(engine, dry_run=message.dry_run))


def purge_templates(message: Maintain, process: Runtime) -> DeletedRows:
    """Permanently delete templates that were soft-deleted long ago."""
    keep = process.configuration.housekeeping
    with _engine(process) as engine:
        done = templates.purge_templates(
            engine, days=keep.purge_after_days, batch=keep.batch, dry_run=message.dry_run
        )
    return DeletedRows(dry_run=message.dry_run, **_numbers(done))


def prune_versions(message: Maintain, process: Runtime) -> DeletedRows:
    """Delete the oldest versions of each template, never the current one."""
    keep = process.configuration.housekeeping
    with _engine(process) as engine:
        done = versions.prune_versions(
            engine, keep=keep.keep_versions, batch=keep.batch, dry_run=message.dry_run
        )
    return DeletedRows(dry_run=message.dry_run, **_numbers(done))


def prune_records(message: Maintain, process: Runtime) -> PrunedRecords:
    """Delete old records of writes and of runs, and old dead letters."""
    keep = process.configuration.housekeeping
    days, dry_run = keep.keep_records_days, message.dry_run
    with _engine(process) as engine:
        done = records.prune_records(engine, days=days, batch=keep.batch, dry_run=dry_run)
    gone = 0 if done.skipped else process.broker.prune_dead_letters(days, dry_run=dry_run)
    return PrunedRecords(dry_run=dry_run, dead_letters=gone, **_numbers(done))


@contextmanager
def _engine(process: Runtime) -> Iterator[Engine]:
    """Yield a private engine without statement timeout, disposed of after the run."""
    engine = make_engine(process.configuration.maintenance)
    try:
        yield engine
    finally:
        engine.dispose()


def _tables(message: Maintain, done: tables.Maintained) -> MaintainedTables:
    return MaintainedTables(dry_run=message.dry_run, skipped=done.skipped, tables=done.seconds)


def _numbers(done: Deleted) -> dict[str, int]:
    return {
        "skipped": done.skipped,
        "deleted": done.rows,
        "batches": done.batches,
        "skipped_batches": done.skipped_batches,
    }
