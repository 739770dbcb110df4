"""The broker as maintenance sees it; the composition root implements it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tasks.messages.report import QueueFigures


@dataclass(frozen=True, slots=True)
class DeadLetterFigures:
    """Figures of the dead-letter queue; None where the broker does not report one.

    Attributes
    ----------
    size
        Bytes.
    oldest_age_seconds
        None also when the queue is empty.
    dropped
        How many were ever dropped because the queue was full.
    dropped_at
        Time of the last drop.
    """

    count: int
    size: int | None
    oldest_age_seconds: float | None
    dropped: int | None
    dropped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Figures of each queue by its name, and of the dead-letter queue.

    Attributes
    ----------
    unconsumed
        Task messages of each queue that no worker consumes; None where that is unknown.
    """

    queues: Mapping[str, QueueFigures]
    dead_letters: DeadLetterFigures
    unconsumed: Mapping[str, int] | None = None


class Broker(Protocol):
    """Port to the message broker."""

    def backlog(self) -> Backlog | None:
        """Return the figures of the queues, or None when the broker does not answer."""

    def prune_dead_letters(self, days: int, *, dry_run: bool) -> int:
        """Delete the dead letters older than ``days`` days; return how many there were."""
