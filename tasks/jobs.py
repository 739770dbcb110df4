"""The jobs of maintenance: one table from which the tasks, beat and the commands are made.

A job's name is written here and nowhere else. The module imports neither Celery nor SQLAlchemy, so
that the command line can list the jobs without them; what a job runs is imported when it runs.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.messages.base import Result
    from tasks.messages.maintenance import Maintain
    from tasks.runs import Run

    Function = Callable[[Maintain, Run], Result]

REPORT: Final = "maintenance.report"
"""Runs each minute, on a queue of its own."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job of maintenance.

    Attributes
    ----------
    name
        Name of its task, such as ``maintenance.prune_versions``.
    cron
        When beat sends it by default, in UTC; ``TEMPLATE_SERVICE_SCHEDULE_…`` moves it.
    summary
        What it does, as an imperative sentence.
    place
        Its function, as ``module:function``.
    has_command
        Whether ``template-service maintenance`` has it; the others have commands elsewhere.
    is_backup
        Whether its time grows with the database: it has a time limit of its own.
    """

    name: str
    cron: str
    summary: str
    place: str
    has_command: bool = True
    is_backup: bool = False

    @property
    def key(self) -> str:
        """The name without ``maintenance.``."""
        return self.name.partition(".")[2]

    @property
    def command(self) -> str:
        """The name of the command."""
        return self.key.replace("_", "-")

    @property
    def time_limit_setting(self) -> str:
        """The environment variable of its time limit."""
        return f"TEMPLATE_SERVICE_{'BACKUP' if self.is_backup else 'MAINTENANCE'}_TIME_LIMIT"

    def function(self) -> "Function":
        """Import the job's function."""
        module, _, name = self.place.partition(":")
        return cast("Function", getattr(import_module(module), name))


# At night in Europe and one after the other, the dump first: what comes after it deletes rows. An
# hour lies between those that read or write everything.
JOBS: Final = (
    Job(
        "maintenance.base_backup",
        "0 1 * * 0",
        "Take and verify a base backup, then remove expired ones.",
        "tasks.services.base_backups:take",
        has_command=False,
        is_backup=True,
    ),
    Job(
        "maintenance.backup",
        "0 2 * * *",
        "Dump the database, verify the dump, and only then delete expired dumps.",
        "tasks.services.dumps:backup",
        has_command=False,
        is_backup=True,
    ),
    Job(
        "maintenance.recovery_figures",
        "20 0,6,12,18 * * *",
        "Record row counts and checksums of all tables, for recovery drills to compare with.",
        "tasks.services.recovery:record_figures",
        has_command=False,
        is_backup=True,
    ),
    Job(
        "maintenance.analyze",
        "30 2 * * *",
        "Update the planner's statistics of each table.",
        "tasks.services.maintenance:analyze",
    ),
    Job(
        "maintenance.vacuum",
        "0 3 * * 0",
        "Run VACUUM (ANALYZE) on each table.",
        "tasks.services.maintenance:vacuum",
    ),
    Job(
        "maintenance.purge_templates",
        "15 3 * * *",
        "Permanently delete templates soft-deleted more than PURGE_AFTER_DAYS ago.",
        "tasks.services.maintenance:purge_templates",
    ),
    Job(
        "maintenance.prune_versions",
        "45 3 * * *",
        "Delete versions beyond the KEEP_VERSIONS newest of each template, never the current one.",
        "tasks.services.maintenance:prune_versions",
    ),
    Job(
        "maintenance.verify_backup",
        "0 4 * * 0",
        "Restore the newest full backup into a private server, and compare all of it.",
        "tasks.services.dumps:verify",
        has_command=False,
        is_backup=True,
    ),
    Job(
        "maintenance.prune_records",
        "30 4 * * *",
        "Delete idempotency records, runs of maintenance and dead letters after KEEP_RECORDS_DAYS.",
        "tasks.services.maintenance:prune_records",
    ),
    Job(
        "maintenance.reindex",
        "0 5 1 * *",
        "Rebuild each index while it is in use, and drop invalid ones.",
        "tasks.services.maintenance:reindex",
    ),
    Job(
        "maintenance.recovery_drill",
        "0 6 * * 0",
        "Verify archived WAL, recover to a random recorded time, and compare all of it.",
        "tasks.services.recovery:drill",
        has_command=False,
        is_backup=True,
    ),
    Job(
        "maintenance.activate_scheduled",
        "* * * * *",
        "Make versions current whose time has come.",
        "tasks.services.activations:activate_scheduled",
    ),
    Job(
        REPORT,
        "* * * * *",
        "Return the figures of this moment, and write them for Prometheus.",
        "tasks.services.report:publish",
        has_command=False,
    ),
)
