"""``maintenance.*`` of the tables: the tasks that beat schedules and operators run by hand."""

from tasks.base import upkeep
from tasks.messages.maintenance import DeletedRows, Maintain, MaintainedTables, PrunedRecords
from tasks.runtime import Configuration
from tasks.services import upkeep as service


@upkeep("maintenance.vacuum", Maintain)
def vacuum(message: Maintain, configuration: Configuration) -> MaintainedTables:
    """Vacuum the tables and renew the planner's statistics."""
    return service.vacuum(message, configuration)


@upkeep("maintenance.analyze", Maintain)
def analyze(message: Maintain, configuration: Configuration) -> MaintainedTables:
    """Renew the planner's statistics."""
    return service.analyze(message, configuration)


@upkeep("maintenance.reindex", Maintain)
def reindex(message: Maintain, configuration: Configuration) -> MaintainedTables:
    """Build the indexes anew, one after the other."""
    return service.reindex(message, configuration)


@upkeep("maintenance.purge_templates", Maintain)
def purge_templates(message: Maintain, configuration: Configuration) -> DeletedRows:
    """Delete for good the templates that were soft-deleted long ago."""
    return service.purge_templates(message, configuration)


@upkeep("maintenance.prune_versions", Maintain)
def prune_versions(message: Maintain, configuration: Configuration) -> DeletedRows:
    """Delete the oldest versions of each template, never the current one."""
    return service.prune_versions(message, configuration)


@upkeep("maintenance.prune_records", Maintain)
def prune_records(message: Maintain, configuration: Configuration) -> PrunedRecords:
    """Delete old records of writes and of runs, and old dead letters."""
    return service.prune_records(message, configuration)
