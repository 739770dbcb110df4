"""Queues with task messages that no worker consumes, of this service or not.

A producer that names no queue sends to Celery's default list ``celery``; one that misspells a queue
creates it. The messages wait there for ever, unnoticed.
"""

import base64
import json
from itertools import islice
from typing import Any, Final

from celery import Celery
from kombu import Connection

from worker import dead_letters
from worker.queues import CONSUMED, QueueName
from worker.rabbitmq import queue_counts
from worker.reserved import inspected, records_holders
from worker.transport.inspection import Inspection, queue_of

CELERY_DEFAULT: Final = "celery"
"""Queue to which Celery sends messages that name no queue."""
REPLY_SECONDS: Final = 1.0
"""Time within which workers must report the queues that they consume."""
MOST: Final = 100
"""Maximum number of queues in a report: any client may create some."""


def unconsumed(connection: Connection) -> dict[str, int] | None:
    """Return the ready messages of each queue that no worker consumes.

    Redis does not show who reads a list. So a queue counts as consumed if a worker reports it by
    remote control, if a live worker of this service holds messages of it, or if its next message
    changes meanwhile. RabbitMQ does not list its queues; there, this service's queues and
    Celery's default are checked.

    Returns
    -------
    dict or None
        None where the broker's user may not look for queues.
    """
    if not records_holders(connection):
        return _of_rabbitmq(connection)
    with inspected(connection) as inspection:
        try:
            before = _with_tasks(inspection)
        except connection.channel_errors:
            return None
        if not before:
            return {}
        rest = set(map(queue_of, before)) - inspection.held(by_living=True).counts.keys()
        if rest:
            rest -= _consumed(connection)
        after = _with_tasks(inspection) if rest else {}
        moved = {queue_of(name) for name, entry in before.items() if after.get(name) != entry}
        still = sorted(rest - moved)
        counts = inspection.waiting(still)
    return dict(islice(((name, counts[name]) for name in still), MOST))


def _with_tasks(inspection: Inspection) -> dict[str, bytes]:
    """Return the lists with task messages, and the next message of each."""
    return {
        name: entry
        for name, entry in inspection.lists().items()
        if queue_of(name) != QueueName.DEAD_LETTERS and _is_task(entry)
    }


def _is_task(entry: bytes) -> bool:
    """Return whether an entry of a list is a task message of Celery, of either protocol."""
    parts = dead_letters.parts_of(entry)
    headers = parts.get("headers")
    if isinstance(headers, dict) and isinstance(headers.get("task"), str):
        return True
    try:
        body = json.loads(base64.b64decode(str(parts.get("body"))))
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and isinstance(body.get("task"), str)


def _consumed(connection: Connection) -> set[str]:
    """Return the queues that workers on this broker say they consume."""
    app = Celery(set_as_current=False, broker=connection.as_uri(include_password=True))
    app.conf.broker_transport_options = connection.transport_options
    inspect = app.control.inspect(timeout=REPLY_SECONDS, connection=connection)
    replies: dict[str, list[Any]] = inspect.active_queues() or {}
    return {
        str(queue.get("name"))
        for queues in replies.values()
        for queue in queues
        if isinstance(queue, dict)
    }


def _of_rabbitmq(connection: Connection) -> dict[str, int]:
    names = (*(queue.value for queue in CONSUMED), CELERY_DEFAULT)
    counts = {name: queue_counts(connection, name) for name in names}
    return {name: ready for name, (ready, consumers) in counts.items() if ready and not consumers}
