"""Limits of a message and the tasks that it may name, from settings and registered tasks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from worker.settings import Settings

MANY: Final = ("render.batch", "bundle.apply")
"""Tasks whose messages bring many things at once."""

CELERY_PREFIX: Final = "celery."
"""Tasks that Celery adds to each app: ``celery.map`` calls any other task past its checks."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of a message and the tasks that it may name. Sizes are bytes, times seconds."""

    tasks: frozenset[str]
    callbacks: re.Pattern[str]
    longest_wait: float
    """Maximum time from now to an ETA."""

    message_bytes: int
    batch_bytes: int
    headers_bytes: int = 64 * 1024
    """Total of the producer's own headers and properties (neither Celery's nor kombu's)."""

    depth: int = 100
    """Levels of JSON in headers or body: 64 for values, and three for each nested callback."""

    most_brackets: int = 200_000
    """Opening brackets in a body: seven bytes of JSON can take two hundred in Python."""

    most_retries: int = 1000

    @classmethod
    def of(cls, settings: "Settings", tasks: Iterable[str]) -> Self:
        """Return the rules of a worker that has ``tasks``."""
        return cls(
            tasks=frozenset(name for name in tasks if not name.startswith(CELERY_PREFIX)),
            callbacks=re.compile(settings.callbacks),
            # A message with a later ETA would exceed the visibility timeout while it waits, and
            # be delivered again each time.
            longest_wait=settings.visibility_timeout / 2,
            message_bytes=settings.limits.message_bytes,
            batch_bytes=settings.limits.batch_bytes,
        )

    @property
    def raw_bytes(self) -> int:
        """Maximum size of a queue entry; a larger one is refused without parsing.

        JSON within JSON is at most three times as long: an emoji is four bytes, and twelve when
        escaped; a quotation mark is one, and two.
        """
        return 3 * max(self.message_bytes, self.batch_bytes) + self.around_bytes

    @property
    def around_bytes(self) -> int:
        """Maximum size of a queue entry without its body; a larger one is refused without parsing.

        Celery's header ``argsrepr`` repeats the arguments; clients in other languages do not
        shorten it.
        """
        return 4 * self.headers_bytes

    def bytes_of(self, task: object) -> int:
        """Return the maximum size of the body of a message for ``task``."""
        return self.batch_bytes if task in MANY else self.message_bytes
