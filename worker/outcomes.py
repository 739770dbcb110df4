"""Counters of message outcomes per task, in the worker's main process.

They are logged every five minutes and when the worker stops, one event for each task that had
messages since the last time, and are part of what ``celery inspect stats`` shows.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Final

from celery import bootsteps
from celery.exceptions import Reject, Retry
from celery.worker.consumer.tasks import Tasks

from tasks.errors import ServiceError
from tasks.events import log_event

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 300.0
"""At most twelve lines an hour for each task: enough to see when a problem began."""
STARTED: Final = "started"
SUCCEEDED: Final = "succeeded"
REFUSED: Final = "refused"
RETRIED: Final = "retried"
FAILED: Final = "failed"
DEAD_LETTERS: Final = "dead_letters"
UNKNOWN: Final = "unknown"
"""Task name of a message that was refused before its headers were read."""

_totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
_logged: dict[str, Counter[str]] = {}


def count(task: str, outcome: str) -> None:
    """Count a message of a registered task."""
    _totals[task][outcome] += 1


def outcome_of(error: BaseException) -> str:
    """Return the outcome of a message whose task raised ``error``."""
    if isinstance(error, ServiceError):
        return REFUSED
    return RETRIED if isinstance(error, Retry | Reject) else FAILED


def totals() -> dict[str, dict[str, int]]:
    """Return the counts of each task since the worker started."""
    return {task: dict(counts) for task, counts in sorted(_totals.items())}


def log_counts() -> None:
    """Log the tasks whose counts have changed since the last call."""
    for task, counts in sorted(_totals.items()):
        if counts != _logged.get(task):
            log_event(logger, "task_counts", task=task, **_written(counts))
            _logged[task] = Counter(counts)


def _written(counts: Mapping[str, int]) -> dict[str, int]:
    names = (STARTED, SUCCEEDED, REFUSED, RETRIED, FAILED)
    return {name: counts.get(name, 0) for name in names} | dict(counts)


class Report(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """Logs the counters while messages are consumed."""

    requires = (Tasks,)

    def __init__(self, consumer: Any, **options: Any) -> None:  # noqa: ANN401 - Celery's arguments
        super().__init__(consumer, **options)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:  # noqa: ANN401 - Celery's consumer
        """Start the timer. Called after each connection to the broker."""
        self._timer = consumer.timer.call_repeatedly(EVERY_SECONDS, log_counts)

    def stop(self, consumer: Any) -> None:  # noqa: ANN401, ARG002 - Celery's arguments
        """Stop the timer; the last counts are logged when the worker stops."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def info(self, consumer: Any) -> dict[str, Any]:  # noqa: ANN401, ARG002 - Celery's arguments
        """Return what ``celery inspect stats`` shows."""
        return {"messages": totals()}

    # Celery calls terminate instead of stop in a cold shutdown.
    terminate = stop
