"""Figures of a server that are read in a thread: who asks for them waits for a moment at most."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from tasks.events import log_event

logger = logging.getLogger(__name__)

T = TypeVar("T")
FRESH_SECONDS: Final = 5.0
"""How long figures are used again: several scrapers do not multiply the reads."""
STALE_SECONDS: Final = 60.0
"""After this long older figures are not shown, while a server does not answer."""


class Sampled(Generic[T]):
    """Figures of one server, or of one part of it.

    Parameters
    ----------
    source
        Its name in logs and metrics.
    read
        Reads the figures; whatever it raises means that they are unknown. One thread at a time
        calls it, and only on request.
    """

    def __init__(self, source: str, read: Callable[[], T]) -> None:
        self.source = source
        self._read = read
        self._changed = threading.Condition()
        self._is_reading = False
        self._at = float("-inf")
        self._value: T | None = None
        self._error: str | None = None

    def ask(self) -> None:
        """Begin to read, unless the figures are fresh or another thread is reading."""
        with self._changed:
            if self._is_reading or time.monotonic() - self._at < FRESH_SECONDS:
                return
            self._is_reading = True
        name = f"metrics {self.source}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def value(self, deadline: float) -> T | None:
        """Return the newest figures, None if they are unknown.

        Parameters
        ----------
        deadline
            Until when to wait for them, by ``time.monotonic()``.
        """
        self.ask()
        with self._changed:
            while self._is_reading and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return None if time.monotonic() - self._at > STALE_SECONDS else self._value

    def _run(self) -> None:
        value: T | None = None
        error: str | None = None
        try:
            value = self._read()
        except Exception as problem:  # noqa: BLE001 - whatever it is, the figures are unknown
            error = type(problem).__name__
        if error is not None and error != self._error:
            log_event(
                logger, "metrics_unread", level=logging.WARNING, source=self.source, error=error
            )
        with self._changed:
            self._value, self._error, self._at = value, error, time.monotonic()
            self._is_reading = False
            self._changed.notify_all()
