"""A message that is not in order, and how it is refused."""

import uuid
from dataclasses import dataclass
from typing import Final

DEEP: Final = 100_000
MEGABYTE: Final = 1024 * 1024
SIX_BODIES: Final = 14 * MEGABYTE
"""More than the queue entry of any message that is accepted."""


@dataclass(frozen=True)
class Malformed:
    """A message, and how it is refused.

    Attributes
    ----------
    kind
        What the reason begins with in the dead letters.
    path
        Where the first problem is.
    answered
        Whether the message says who waits for an answer, so that the producer gets one.
    """

    name: str
    entry: bytes
    kind: str
    path: str
    answered: bool = True

    @property
    def task_id(self) -> str:
        """Where the producer waits."""
        return task_id_of(self.name)


def task_id_of(name: str) -> str:
    """Return the id of the message of that name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
