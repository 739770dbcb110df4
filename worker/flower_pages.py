"""Flower's pages for this service: columns of its messages, and the dead-letter queue.

``celery -A worker flower`` loads Flower before the app, which adds these. They are defaults:
``FLOWER_TASKS_COLUMNS`` and ``--tasks-columns`` choose others.
"""

import sys
from typing import Any, Final

from celery.events.state import Task

from worker.queues import QueueName

COLUMNS: Final = {
    "template_id": "Template",
    "version": "Version",
    "language": "Language",
    "milliseconds": "Milliseconds",
    "code": "Error code",
}
"""Fields of events that :mod:`worker.node.request` adds, and their titles."""
SHOWN: Final = ("name", "uuid", "state", *COLUMNS, "received", "worker")
"""Columns of the page of tasks by default."""


class Message(Task):  # type: ignore[misc]  # Celery ships no types
    """A task as Flower keeps it, with the fields of this service."""

    template_id = version = language = milliseconds = code = None
    _fields = (*Task._fields, *COLUMNS)


def register() -> None:
    """Add columns and queue, if Flower is loaded."""
    if "flower.views.tasks" not in sys.modules:
        return
    from flower import events, options, views  # noqa: PLC0415 - it is loaded already
    from flower.views import broker, tasks  # noqa: PLC0415 - the same

    def queue_names(handler: Any) -> list[str]:  # noqa: ANN401 - Flower ships no types
        # Only consumed queues; the dead-letter queue has no consumer.
        active = views.BaseHandler.get_active_queue_names(handler)
        return sorted({*active, QueueName.DEAD_LETTERS.value})

    events.EventsState.Task = Message
    tasks.TASK_COLUMNS.update(COLUMNS)
    broker.BrokerView.get_active_queue_names = queue_names
    options.options.tasks_columns = ",".join(SHOWN)
