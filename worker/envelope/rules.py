"""What a message may be: the rules of this service, from its settings and its tasks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from worker.settings import Settings

BATCH: Final = "render.batch"
CELERYS_OWN: Final = "celery."
"""Tasks that Celery adds to each app: ``celery.map`` calls any other task past its checks."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of a message and names that it may call. Sizes are bytes, times seconds."""

    tasks: frozenset[str]
    callbacks: re.Pattern[str]
    longest_wait: float
    """How far ahead an ETA may be."""

    message_bytes: int
    batch_bytes: int
    headers_bytes: int = 64 * 1024
    """Of headers and properties that are neither Celery's nor kombu's, together."""

    depth: int = 100
    """Levels of JSON in headers or body: 64 of values, and three for a callback of a callback."""

    most_brackets: int = 200_000
    """Opening ones in a body: seven bytes of JSON can become two hundred in Python."""

    most_retries: int = 1000

    @classmethod
    def of(cls, settings: "Settings", tasks: Iterable[str]) -> Self:
        """Return the rules of a worker that has ``tasks``."""
        return cls(
            tasks=frozenset(name for name in tasks if not name.startswith(CELERYS_OWN)),
            callbacks=re.compile(settings.callbacks),
            # A message that waits longer than the visibility timeout is delivered again and again.
            longest_wait=settings.visibility_timeout / 2,
            message_bytes=settings.limits.message_bytes,
            batch_bytes=settings.limits.batch_bytes,
        )

    @property
    def raw_bytes(self) -> int:
        """The size from which on a queue entry is not even parsed.

        JSON within JSON is at most three times as long: an emoji has four bytes and twelve
        characters when it is escaped, a quotation mark one and two.
        """
        return 3 * max(self.message_bytes, self.batch_bytes) + self.around_bytes

    @property
    def around_bytes(self) -> int:
        """The size from which on an entry is not parsed, its body apart.

        Celery's own headers repeat arguments for people, without a limit in other languages.
        """
        return 4 * self.headers_bytes

    def bytes_of(self, task: object) -> int:
        """Return how many bytes the body of a message for ``task`` may have."""
        return self.batch_bytes if task == BATCH else self.message_bytes
