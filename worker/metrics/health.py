"""Health of a process: whether its loop turns, and whether it gets messages."""

import threading
import time
from dataclasses import dataclass
from typing import Final, NamedTuple

BEAT_SECONDS: Final = 150.0
"""beat's loop turns once a minute at least."""
WORKER_SECONDS: Final = 30.0
"""A worker's loop turns every five seconds: see :mod:`worker.node.heartbeat`."""


class Answer(NamedTuple):
    """An answer to a health check."""

    is_good: bool
    words: str


@dataclass(slots=True)
class Health:
    """State of this process, which its loop reports.

    Attributes
    ----------
    silence
        Seconds after which a loop that has not turned hangs.
    """

    silence: float
    _turned_at: float | None = None
    _problem: str = ""

    def turned(self, problem: str = "") -> None:
        """Record a turn of the loop, and its problem, if any."""
        self._turned_at, self._problem = time.monotonic(), problem

    def disconnected(self) -> None:
        """Report that the process waits for its broker."""
        self._turned_at, self._problem = None, ""

    def alive(self) -> Answer:
        """Return whether a restart would not help: the loop turns, or waits for the broker."""
        if self._turned_at is None:
            return Answer(is_good=True, words="waits for the broker")
        silent = time.monotonic() - self._turned_at
        if silent > self.silence:
            return Answer(is_good=False, words=f"the event loop has hung for {silent:.0f} s")
        return Answer(is_good=not self._problem, words=self._problem or "ok")

    def ready(self) -> Answer:
        """Return whether the process gets messages."""
        if self._turned_at is None:
            return Answer(is_good=False, words="waits for the broker")
        return self.alive()


_lock = threading.Lock()
_health = Health(WORKER_SECONDS)


def current() -> Health:
    """Return the health of this process."""
    return _health


def use(silence: float) -> Health:
    """Set how long this process's loop may be silent."""
    global _health  # noqa: PLW0603 - one for each process
    with _lock:
        _health = Health(silence)
        return _health
