"""Refusal of a message: code, reason and problems, for its producer and its dead letter."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Self

from tasks.errors import Code, InvalidMessage, Problem, ServiceError, TooLarge

UNDECODABLE: Final = "undecodable"
MALFORMED: Final = "malformed"
PROTOCOL_1: Final = "protocol_1"
UNKNOWN_TASK: Final = "unknown_task"
REFUSED: Final = "refused"
TOO_LARGE: Final = "too_large"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Refusal of a message.

    Attributes
    ----------
    code
        ``invalid_message`` or ``too_large``.
    kind
        First word of the dead letter's reason: one of the constants of this module.
    reason
        One sentence: the path of the first problem, and what was expected there.
    problems
        All problems.
    task_id
        Task id under which the producer waits for its answer; None if it is unknown.
    """

    code: Code
    kind: str
    reason: str
    problems: list[Problem] = field(default_factory=list)
    task_id: str | None = None

    def error(self) -> ServiceError:
        """Return the answer for the producer."""
        error = TooLarge if self.code is Code.TOO_LARGE else InvalidMessage
        return error.of(f"the message is refused: {self.reason}", self.problems)


class RefusedError(Exception):
    """Ends the check of a message. Callers of this package get its refusal instead."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal

    @classmethod
    def of(cls, kind: str, problems: list[Problem], task_id: str | None = None) -> Self:
        """Return the error for one or more problems."""
        first = problems[0]
        reason = f"{first['path']}: {first['message']}" if first["path"] else first["message"]
        if len(problems) > 1:
            reason += f" (and {len(problems) - 1} more)"
        return cls(Refusal(Code.INVALID_MESSAGE, kind, reason, problems, task_id))

    @classmethod
    def at(cls, path: str, kind: str, message: str, task_id: str | None = None) -> Self:
        """Return the error for a problem that makes further checks impossible."""
        return cls.of(kind, [{"path": path, "type": kind, "message": message}], task_id)

    @classmethod
    def too_large(cls, message: str, task_id: str | None, problems: Iterable[Problem] = ()) -> Self:
        """Return the error for a message over a limit; its other problems follow."""
        first: Problem = {"path": "", "type": TOO_LARGE, "message": message}
        return cls(Refusal(Code.TOO_LARGE, TOO_LARGE, message, [first, *problems], task_id))

    def with_others(self, problems: Iterable[Problem], task_id: str | None) -> Refusal:
        """Return the refusal with earlier problems added."""
        own = self.refusal
        if own.kind == PROTOCOL_1:
            # Protocol 1 has these fields elsewhere: they are not missing.
            return replace(own, task_id=task_id)
        return RefusedError.of(own.kind, [*own.problems, *problems], task_id).refusal
