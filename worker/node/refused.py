"""A message in hand that is not worked on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.errors import Problem, ServiceError


@dataclass(slots=True)
class Refused:
    """A message in hand that is not worked on.

    Attributes
    ----------
    channel, tag
        Where it was delivered, and by what it is known there.
    kind, reason
        Of the dead letter: a word, and a sentence without values.
    task_id
        Whom the answer is for, None where nobody can be reached.
    error
        The answer, None where it is stored already.
    message
        As kombu has delivered it; a letter of Redis is made of what lay on the list.
    task
        Its task, where a process has worked on it.
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
