"""Queue of a callback: the one that its signature names, or one of this service.

A model of ``celery.app.routes.Router`` and of ``send_task_message`` in ``celery.app.amqp``: a
message without a queue goes to the default queue, unless a route of this service matches its name.
The queue of a chain, chord or group does not count for its parts: whether Celery passes it on
depends on what is around it.
"""

import re
from typing import Any, Final

from worker.queues import QueueName

OWN_QUEUES: Final = frozenset(QueueName)
PLACES: Final = ("queue", "routing_key")
"""Options that can lead to a queue of this service."""

# On Redis a queue is a key: a list with the name of one of these would stop all deliveries, or take
# the place of a result.
_RESERVED: Final = re.compile(
    r"unacked(?:[_:].*)?|_kombu\..*|dead-letters:.*|celery-task-meta-.*", re.DOTALL
)
SENT_IN_PARTS: Final = frozenset({"chain", "chord", "group"})
_HOW: Final = 'name it in the options of its signature, {"queue": "…"}; with Celery .set(queue="…")'


def destination_problem(signature: dict[str, Any], tasks: frozenset[str]) -> str | None:
    """Return why a well-formed signature's message could not be processed by this service.

    ``tasks`` are the names of this service's tasks.
    """
    kind, options, task = signature.get("subtask_type"), signature["options"], signature["task"]
    for place in PLACES:
        name = options.get(place)
        if name in OWN_QUEUES and not _is_own(signature, tasks):
            return (
                f"options.{place} of a task signature: '{name}' is a queue of this service, which "
                f"does not have the task; name the queue of the service that has '{task}'"
            )
        if is_reserved(name or ""):
            return (
                f"options.{place} of a task signature: {name!r} is a name of the broker or of this "
                "service that no task is sent to; name a queue that a worker consumes"
            )
    if kind in SENT_IN_PARTS or task in tasks or options.get("queue"):
        return None
    return f"the queue of '{task}' is missing, and it is not a task of this service: {_HOW}"


def is_reserved(name: str) -> bool:
    """Return whether a queue of that name would be in the way of the broker or this service."""
    return name == QueueName.DEAD_LETTERS or _RESERVED.fullmatch(name) is not None


def _is_own(signature: dict[str, Any], tasks: frozenset[str]) -> bool:
    """Return whether all messages that a signature is sent as are for ``tasks``."""
    stack: list[Any] = [signature]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        elif isinstance(item, dict) and item.get("subtask_type") in SENT_IN_PARTS:
            kwargs = item.get("kwargs")
            if isinstance(kwargs, dict):
                stack += [kwargs.get(part) for part in ("tasks", "header", "body")]
        elif isinstance(item, dict) and item.get("task") not in tasks:
            return False
    return True
