"""Detection of a stuck worker: it has messages in hand and makes no progress.

A worker that is connected and idle is healthy; so is one whose processes run tasks within their
time limits, however long those are. A worker is stuck if it has messages, and none is started,
finished or settled although a process is free: its processes are stopped or hang, or a message was
lost on its way to them.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from celery.worker import state

GRACE_SECONDS: Final = 10.0
"""After a time limit, until the process is killed and replaced."""


@dataclass(frozen=True, slots=True)
class Work:
    """Messages of a worker at one moment.

    Attributes
    ----------
    at
        Time of the observation, by ``time.monotonic()``.
    in_hand
        Tags of the messages that were delivered, are due and are not settled.
    started
        Number of messages started since the worker's start.
    running
        For each running task: seconds since its start, and its time limit in seconds, None
        without one.
    """

    at: float
    in_hand: frozenset[str]
    started: int
    running: Sequence[tuple[float, float | None]] = ()


def progressed_at(last: float, before: Work, now: Work) -> float:
    """Return the last time at which there was progress, or nothing to do.

    Parameters
    ----------
    last
        The previous result.
    before
        The previous observation.
    """
    has_settled = bool(before.in_hand - now.in_hand)
    if not before.in_hand or has_settled or now.started != before.started:
        return now.at
    return last


def is_stuck(now: Work, last: float, allowed: float) -> bool:
    """Return whether messages are in hand and make no progress.

    Parameters
    ----------
    last
        Time of the last progress, from :func:`progressed_at`.
    allowed
        Permitted seconds without progress while no process works within its time limit.
    """
    is_working = any(
        limit is None or seconds <= limit + GRACE_SECONDS for seconds, limit in now.running
    )
    return bool(now.in_hand) and not is_working and now.at - last > allowed


def work_of(consumer: Any) -> Work:  # noqa: ANN401 - Celery's consumer
    """Return the messages of this process's worker."""
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
    # Messages that wait in this process for their ETA are not due.
    delayed = {_tag(request) for request in _copied(state.scheduled_requests)}
    for request in _copied(state.reserved_requests):
        yield _tag(request)
    # In our own transport, messages without a request also count: their handler has failed.
    channel = getattr(consumer.task_consumer, "channel", None)
    holder = getattr(channel, "holder", None)
    if holder is not None:
        yield from holder.in_hand.keys() - delayed


def _copied(requests: Iterable[Any]) -> list[Any]:
    """Return a copy of a set of requests, to which threads of a thread pool may add."""
    while True:
        try:
            return list(requests)
        except RuntimeError:  # it changed size meanwhile
            time.sleep(0)


def _tag(request: Any) -> str:  # noqa: ANN401 - Celery ships no types
    return str(request.message.delivery_tag)
