"""Storing answers: callbacks are called and the result is stored inside the task.

Celery does both when the task is over, and acknowledges the message whether they worked or not: a
result backend that is unavailable, full or read-only loses the answer to work that was done. Here
nothing leaves the task before the answer is stored. If that fails, the message is delivered again;
the idempotency record then gives the same answer to a write.

The order is Celery's: first the callbacks, then the result. So once a result is visible its
callbacks have been called, and the result names them as its children. A message that is delivered
again may call a callback again, with the same task id.

Celery, which would store the same afterwards, sees that the request is :func:`answered`.
"""

import logging
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from celery import Task, group
from celery.app.task import get_actual_ignore_result
from celery.exceptions import TaskPredicate
from kombu.exceptions import EncodeError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 5.0
"""How long a process retries storing an answer before it returns the message to the queue."""

PAUSES: Final = (0.0, 0.1, 0.2, 0.4, 0.8)
"""Seconds between these retries; the last one repeats."""

PUBLISHING: Final = {"max_retries": 1, "interval_start": 0}
"""One retry, as an idle connection may be closed. An unacknowledged message is not lost."""

COMPACT: Final = "compact-json"
"""Serializer of retries: kombu's own JSON takes up to twice the bytes that a producer has sent, and
the message would be over the limit when it comes back."""

_MALFORMED: Final = (EncodeError, TypeError, ValueError, LookupError, AttributeError)
"""Errors of a callback that cannot be called, even if the servers are available."""


class NotAnsweredError(Exception):
    """A server did not accept the answer; the message must be delivered again."""


def answered(request: Any) -> bool:  # noqa: ANN401 - Celery ships no types
    """Return whether the answer to a request is stored."""
    return bool(getattr(request, "is_answered", False))


def answering(request: Any) -> bool:  # noqa: ANN401 - Celery ships no types
    """Return whether a task is storing the answer now, and handles a server that refuses it."""
    return bool(getattr(request, "is_answering", False))


def succeed(task: Task, answer: object) -> None:
    """Call the callbacks of the message that ``task`` works on, and store its answer.

    Raises
    ------
    NotAnsweredError
        Broker or result backend did not accept it.
    """
    request = task.request
    _call(task, request.callbacks, request.chain, answer)
    # Neither by Celery, nor by the next try if the answer cannot be stored in this one.
    request.callbacks = request.chain = None
    stored = not get_actual_ignore_result(task, request)
    _stored(
        request, lambda: task.backend.mark_as_done(request.id, answer, request, store_result=stored)
    )


def fail(task: Task, error: Exception) -> None:
    """Store ``error`` as the answer to the message that ``task`` works on, and call its errbacks.

    Raises
    ------
    NotAnsweredError
        Broker or result backend did not accept it.
    """
    request = task.request
    stored = not get_actual_ignore_result(task, request) or task.store_errors_even_if_ignored
    _name(request.id, "errback", request.errbacks)
    # A refusal says what was wrong and where. Its traceback would only show this service's files.
    is_refusal = isinstance(error, task.throws)
    formatted = None if is_refusal else "".join(traceback.format_exception(error))

    def store() -> None:
        task.backend.mark_as_failure(
            request.id, error, formatted, request=request, store_result=stored
        )

    try:
        _stored(request, store)
    except _MALFORMED:
        # Its result is stored before its errbacks are called.
        request.is_answered = True
        logger.exception("An errback of task %s[%s] cannot be called", task.name, request.id)


def _stored(request: Any, store: Callable[[], None]) -> None:  # noqa: ANN401 - Celery ships no types
    """Store an answer, with retries for up to ``PATIENCE_SECONDS``."""
    end = time.monotonic() + PATIENCE_SECONDS
    pauses = iter(PAUSES)
    pause = 0.0
    request.is_answering = True
    try:
        while True:
            try:
                store()
            except NotAnsweredError:
                pause = next(pauses, pause)
                if time.monotonic() + pause > end:
                    raise
                time.sleep(pause)
            else:
                request.is_answered = True
                return
    finally:
        request.is_answering = False


def _call(
    task: Task, callbacks: Sequence[Any] | None, chain: list[Any] | None, answer: object
) -> None:
    """Put the callbacks and the next task of the chain on their queues, as Celery does.

    See ``_dispatch_callbacks_and_chain`` in celery/app/trace.py, which has no name to call.
    """
    if not callbacks and not chain:
        return
    app, request = task.app, task.request
    priority = (
        request.delivery_info.get("priority") if app.conf.task_inherit_parent_priority else None
    )
    options = {
        "parent_id": request.id,
        "root_id": request.root_id or request.id,
        "priority": priority,
        "retry_policy": PUBLISHING,
    }
    _name(request.id, "callback", callbacks)
    try:
        signatures = [app.signature(each) for each in callbacks or ()]
        if len(signatures) > 1:
            alone = [each for each in signatures if not isinstance(each, group)]
            signatures = [each for each in signatures if isinstance(each, group)]
            signatures += [group(alone, app=app)] if alone else []
        for signature in signatures:
            signature.apply_async((answer,), **options)
        if chain:
            _name(request.id, "chain", chain[-1:])
            app.signature(chain[-1]).apply_async((answer,), chain=chain[:-1], **options)
    except (*_MALFORMED, TaskPredicate, MemoryError):
        raise
    except Exception as error:
        raise NotAnsweredError from error


def _name(task_id: str, kind: str, signatures: Sequence[Any] | None) -> None:
    """Give tasks to be called the same task id, however often they are called for a message."""
    for number, signature in enumerate(signatures or ()):
        if not isinstance(signature, dict) or signature.get("subtask_type"):
            # Celery refuses what is not a signature; the parts of groups and chains have ids.
            continue
        options = signature.setdefault("options", {})
        if isinstance(options, dict) and not options.get("task_id"):
            name = f"{task_id} {kind} {number}"
            options["task_id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
