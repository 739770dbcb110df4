"""Jobs of maintenance on the tables: vacuum, statistics, indexes, cleanups."""

from db.maintenance import prune_records as records
from db.maintenance import prune_versions as versions
from db.maintenance import purge_templates as templates
from db.maintenance import reindex as indexes
from db.maintenance import tables
from db.maintenance.batches import Deleted
from tasks.messages.maintenance import DeletedRows, Maintain, MaintainedTables, PrunedRecords
from tasks.runs import Run


def vacuum(message: Maintain, run: Run) -> MaintainedTables:
    """Vacuum the tables and renew the planner's statistics."""
    return _tables(message, tables.vacuum(run.engine, dry_run=message.dry_run))


def analyze(message: Maintain, run: Run) -> MaintainedTables:
    """Renew the planner's statistics."""
    return _tables(message, tables.analyze(run.engine, dry_run=message.dry_run))


def reindex(message: Maintain, run: Run) -> MaintainedTables:
    """Rebuild the indexes, one after the other."""
    return _tables(message, indexes.reindex(run.engine, dry_run=message.dry_run))


def purge_templates(message: Maintain, run: Run) -> DeletedRows:
    """Delete for good the templates that were soft-deleted long ago."""
    keep = run.configuration.housekeeping
    done = templates.purge_templates(
        run.engine, days=keep.purge_after_days, batch=keep.batch, dry_run=message.dry_run
    )
    return DeletedRows(dry_run=message.dry_run, **_numbers(done))


def prune_versions(message: Maintain, run: Run) -> DeletedRows:
    """Delete the oldest versions of each template, never the current one."""
    keep = run.configuration.housekeeping
    done = versions.prune_versions(
        run.engine, keep=keep.keep_versions, batch=keep.batch, dry_run=message.dry_run
    )
    return DeletedRows(dry_run=message.dry_run, **_numbers(done))


def prune_records(message: Maintain, run: Run) -> PrunedRecords:
    """Delete old records of writes and of runs, and old dead letters."""
    keep = run.configuration.housekeeping
    days, dry_run = keep.keep_records_days, message.dry_run
    done = records.prune_records(run.engine, days=days, batch=keep.batch, dry_run=dry_run)
    gone = 0 if done.skipped else run.process.broker.prune_dead_letters(days, dry_run=dry_run)
    return PrunedRecords(dry_run=dry_run, dead_letters=gone, **_numbers(done))


def _tables(message: Maintain, done: tables.Maintained) -> MaintainedTables:
    return MaintainedTables(dry_run=message.dry_run, skipped=done.skipped, tables=done.seconds)


def _numbers(done: Deleted) -> dict[str, int]:
    return {
        "skipped": done.skipped,
        "deleted": done.rows,
        "batches": done.batches,
        "skipped_batches": done.skipped_batches,
    }
