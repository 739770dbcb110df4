"""Messages and results of ``maintenance.*``."""

from tasks.messages.base import Message, Result


class Maintain(Message):
    """All of ``maintenance.*``; ``dry_run`` says what would be done and does nothing."""

    dry_run: bool = False


class MaintainedTables(Result):
    """Answer of ``maintenance.vacuum``, ``analyze`` and ``reindex``.

    ``skipped`` is true when the same task was running elsewhere; ``seconds`` is wall-clock time
    for each table.
    """

    dry_run: bool
    skipped: bool
    tables: dict[str, float]


class DeletedRows(Result):
    """Answer of the cleanups: ``purge_templates``, ``prune_versions``, ``prune_records``.

    ``deleted`` counts the rows deleted, or with ``dry_run`` the rows to delete; ``batches``
    counts transactions, and ``skipped_batches`` the transactions that waited too long for a lock;
    their rows are left to the next run. Rows deleted by cascade are not counted.
    """

    dry_run: bool
    skipped: bool
    deleted: int
    batches: int
    skipped_batches: int


class PrunedRecords(DeletedRows):
    """Answer of ``maintenance.prune_records``; ``dead_letters`` counts the deleted ones."""

    dead_letters: int


class ActivatedVersions(Result):
    """Answer of ``maintenance.activate_scheduled``.

    ``activated`` counts the versions that became current, or with ``dry_run`` the versions whose
    time has come; ``failed`` counts the versions that could not become current, for the reason in
    ``schedule_error``.
    """

    dry_run: bool
    activated: int
    failed: int
