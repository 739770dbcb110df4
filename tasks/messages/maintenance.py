"""Messages and results of ``maintenance.*``."""

from tasks.messages.base import Message, Result


class Maintain(Message):
    """All of ``maintenance.*``; ``dry_run`` says what would be done and does nothing."""

    dry_run: bool = False


class MaintainedTables(Result):
    """Answer of ``maintenance.vacuum`` and ``maintenance.analyze``.

    ``skipped`` is true when the same task was under way elsewhere; ``seconds`` is wall-clock time
    for each table.
    """

    dry_run: bool
    skipped: bool
    tables: dict[str, float]


class DeletedRows(Result):
    """Answer of ``maintenance.purge_templates`` and ``maintenance.prune_versions``.

    ``deleted`` counts the rows deleted, or with ``dry_run`` those that would be; ``batches``
    counts transactions. Rows that go with them by cascade are not counted.
    """

    dry_run: bool
    skipped: bool
    deleted: int
    batches: int
