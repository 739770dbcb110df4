"""``maintenance.*`` of the tables: the tasks that beat schedules and operators run by hand."""

from tasks.base import maintenance
from tasks.messages.maintenance import DeletedRows, Maintain, MaintainedTables, PrunedRecords
from tasks.runtime import Runtime
from tasks.services import maintenance as service


@maintenance("maintenance.vacuum", Maintain)
def vacuum(message: Maintain, process: Runtime) -> MaintainedTables:
    """Vacuum the tables and update the planner's statistics."""
    return service.vacuum(message, process)


@maintenance("maintenance.analyze", Maintain)
def analyze(message: Maintain, process: Runtime) -> MaintainedTables:
    """Update the planner's statistics."""
    return service.analyze(message, process)


@maintenance("maintenance.reindex", Maintain)
def reindex(message: Maintain, process: Runtime) -> MaintainedTables:
    """Rebuild the indexes, one after the other."""
    return service.reindex(message, process)


@maintenance("maintenance.purge_templates", Maintain)
def purge_templates(message: Maintain, process: Runtime) -> DeletedRows:
    """Permanently delete templates that were soft-deleted long ago."""
    return service.purge_templates(message, process)


@maintenance("maintenance.prune_versions", Maintain)
def prune_versions(message: Maintain, process: Runtime) -> DeletedRows:
    """Delete the oldest versions of each template, never the current one."""
    return service.prune_versions(message, process)


@maintenance("maintenance.prune_records", Maintain)
def prune_records(message: Maintain, process: Runtime) -> PrunedRecords:
    """Delete old records of writes and of runs, and old dead letters."""
    return service.prune_records(message, process)
