"""``maintenance.*``: the tasks that beat schedules and operators run by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Engine

from db import maintenance
from db.session import make_engine
from tasks.base import upkeep
from tasks.messages.maintenance import DeletedRows, Maintain, MaintainedTables
from tasks.runtime import Configuration


@upkeep("maintenance.vacuum", Maintain)
def vacuum(message: Maintain, configuration: Configuration) -> MaintainedTables:
    """Vacuum the tables and renew the planner's statistics."""
    with _engine(configuration) as engine:
        return _tables(message, maintenance.vacuum(engine, dry_run=message.dry_run))


@upkeep("maintenance.analyze", Maintain)
def analyze(message: Maintain, configuration: Configuration) -> MaintainedTables:
    """Renew the planner's statistics."""
    with _engine(configuration) as engine:
        return _tables(message, maintenance.analyze(engine, dry_run=message.dry_run))


@upkeep("maintenance.purge_templates", Maintain)
def purge_templates(message: Maintain, configuration: Configuration) -> DeletedRows:
    """Delete for good the templates that were soft-deleted long ago."""
    keep = configuration.housekeeping
    with _engine(configuration) as engine:
        done = maintenance.purge_templates(
            engine, days=keep.purge_after_days, batch=keep.batch, dry_run=message.dry_run
        )
    return _rows(message, done)


@upkeep("maintenance.prune_versions", Maintain)
def prune_versions(message: Maintain, configuration: Configuration) -> DeletedRows:
    """Delete the oldest versions of each template, never the current one."""
    keep = configuration.housekeeping
    with _engine(configuration) as engine:
        done = maintenance.prune_versions(
            engine, keep=keep.keep_versions, batch=keep.batch, dry_run=message.dry_run
        )
    return _rows(message, done)


@contextmanager
def _engine(configuration: Configuration) -> Iterator[Engine]:
    """Yield an engine of its own: no statement timeout, and nothing kept open between runs."""
    engine = make_engine(replace(configuration.database, statement_timeout=0))
    try:
        yield engine
    finally:
        engine.dispose()


def _tables(message: Maintain, done: maintenance.Maintained) -> MaintainedTables:
    return MaintainedTables(dry_run=message.dry_run, skipped=done.skipped, tables=done.seconds)


def _rows(message: Maintain, done: maintenance.Deleted) -> DeletedRows:
    return DeletedRows(
        dry_run=message.dry_run, skipped=done.skipped, deleted=done.rows, batches=done.batches
    )
