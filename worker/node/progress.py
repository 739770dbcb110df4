"""Whether a worker gets on with the messages that it has in hand.

A worker that is connected and idle is healthy; so is one whose processes work within their time
limits, however long those are. One that has messages, of which none is started, finished or
settled although a process could, is stuck: its processes are stopped or hang, or a message was
lost on its way to them.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from celery.worker import state

GRACE_SECONDS: Final = 10.0
"""Beyond a time limit, until the process is killed and another has taken its place."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker has to do at one moment.

    Attributes
    ----------
    at
        By ``time.monotonic()``.
    in_hand
        Tags of the messages that were delivered, are due and are not settled.
    started
        How many messages were ever started.
    running
        For each message that a process works on: since how many seconds, and its time limit in
        seconds, None without one.
    """

    at: float
    in_hand: frozenset[str]
    started: int
    running: Sequence[tuple[float, float | None]] = ()


def progressed_at(last: float, before: Work, now: Work) -> float:
    """Return when there was progress last, or nothing to do.

    Parameters
    ----------
    last
        When there was before.
    before
        What there was to do when ``last`` was found.
    """
    has_settled = bool(before.in_hand - now.in_hand)
    if not before.in_hand or has_settled or now.started != before.started:
        return now.at
    return last


def is_stuck(now: Work, last: float, allowed: float) -> bool:
    """Tell whether messages are in hand and nothing happens to them.

    Parameters
    ----------
    last
        When there was progress last: :func:`progressed_at`.
    allowed
        Seconds without progress while no process works within its time limit.
    """
    is_working = any(
        limit is None or seconds <= limit + GRACE_SECONDS for seconds, limit in now.running
    )
    return bool(now.in_hand) and not is_working and now.at - last > allowed


def work_of(consumer: Any) -> Work:  # noqa: ANN401 - Celery's consumer
    """Return what the worker of this process has to do."""
    now = time.time()
    return Work(
        at=time.monotonic(),
        in_hand=frozenset(_tags(consumer)),
        started=state.all_total_count[0],
        running=[
            (now - request.time_start, request.task.time_limit)
            for request in _copied(state.active_requests)
            if request.time_start is not None
        ],
    )


def _tags(consumer: Any) -> Iterator[str]:  # noqa: ANN401 - Celery's consumer
    # Those that wait in this process for their time are not due.
    delayed = {_tag(request) for request in _copied(state.scheduled_requests)}
    for request in _copied(state.reserved_requests):
        yield _tag(request)
    # Of our own transport also those that no request stands for: one whose handler has failed.
    channel = getattr(consumer.task_consumer, "channel", None)
    holder = getattr(channel, "holder", None)
    if holder is not None:
        yield from holder.in_hand.keys() - delayed


def _copied(requests: Iterable[Any]) -> list[Any]:
    """Return a set of requests; under the pool of threads others add to it meanwhile."""
    while True:
        try:
            return list(requests)
        except RuntimeError:  # it changed size meanwhile
            time.sleep(0)


def _tag(request: Any) -> str:  # noqa: ANN401 - Celery ships no types
    return str(request.message.delivery_tag)
