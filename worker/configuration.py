"""Configuration of tasks and operator commands, derived from the settings."""

from dataclasses import asdict, replace

from db.addresses import Database
from tasks.configuration import Configuration, Operations
from tasks.rendering.limits import BATCH_SHARE, TRIAL_SHARE
from worker.directories import service_path
from worker.settings import Settings


def configuration(settings: Settings) -> Configuration:
    """Return the settings' policies, with addresses and the limits derived from time limits."""
    soft = settings.task_soft_time_limit
    return Configuration(
        database=Database(settings.database_url.get_secret_value(), **asdict(settings.db)),
        limits=replace(
            settings.limits, batch_seconds=BATCH_SHARE * soft, trial_seconds=TRIAL_SHARE * soft
        ),
        default_language=settings.default_language,
        retry=settings.retry,
        housekeeping=settings.housekeeping,
        operations=_operations(settings),
    )


def _operations(settings: Settings) -> Operations:
    given = settings.operations
    backup, recovery = given.backup, given.recovery
    if "://" not in backup.target:
        backup = replace(backup, target=str(service_path(backup.target)))
    return replace(
        given,
        url=settings.maintenance_database_url.get_secret_value(),
        backup=backup,
        recovery=replace(recovery, directory=service_path(recovery.directory)),
    )
