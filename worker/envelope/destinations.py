"""Where Celery sends a callback: the queue that its signature names, or one of this service.

A model of ``celery.app.routes.Router`` and of ``send_task_message`` in ``celery.app.amqp``: a
message without a queue goes to the default queue, unless a route of this service matches its name.
The queue of a chain, chord or group does not count for its parts: whether Celery passes it on
depends on what is around it.
"""

from typing import Any, Final

from worker.queues import QueueName

OWN_QUEUES: Final = frozenset(QueueName)
PLACES: Final = ("queue", "routing_key")
"""Options that can lead to a queue of this service."""

SENT_IN_PARTS: Final = frozenset({"chain", "chord", "group"})
_HOW: Final = 'name it in the options of its signature, {"queue": "…"}; with Celery .set(queue="…")'


def destination_problem(signature: dict[str, Any], tasks: frozenset[str]) -> str | None:
    """Return the problem of a well-formed signature whose message this service would get in vain.

    ``tasks`` are those of this service.
    """
    kind, options, task = signature.get("subtask_type"), signature["options"], signature["task"]
    for place in PLACES:
        if (name := options.get(place)) in OWN_QUEUES and not _is_own(signature, tasks):
            return (
                f"options.{place} of a task signature: '{name}' is a queue of this service, which "
                f"does not have the task; name the queue of the service that has '{task}'"
            )
    if kind in SENT_IN_PARTS or task in tasks or (options.get("queue") and kind != "chunks"):
        return None
    if kind == "chunks":  # Celery drops its options.
        return "celery.chunks cannot name a queue: send a celery.group of tasks that do"
    return f"the queue of '{task}' is missing, which is no task of this service: {_HOW}"


def _is_own(signature: dict[str, Any], tasks: frozenset[str]) -> bool:
    """Tell whether all messages that a signature is sent as are for ``tasks``."""
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
