"""A message in hand that is refused: no task runs, or runs again, for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.errors import Problem, ServiceError


@dataclass(slots=True)
class Refused:
    """A message in hand that is refused.

    Attributes
    ----------
    channel, tag
        The channel of the delivery, and its delivery tag.
    kind, reason
        Reason of the dead letter: a word, and a sentence without values.
    task_id
        Task id to store the answer under; None if the producer cannot be reached.
    error
        The answer; None once it is stored.
    message
        kombu's message; None on Redis, where the dead letter is made from the list's raw entry.
    task
        Name of the task, if a process has run it.
    """

    channel: Any
    tag: str
    kind: str
    reason: str
    task_id: str | None = None
    error: ServiceError | None = None
    problems: Sequence[Problem] = ()
    message: Any = None
    task: str | None = None

    @property
    def description(self) -> str:
        """The reason in the dead letter."""
        return f"{self.kind}: {self.reason}"
