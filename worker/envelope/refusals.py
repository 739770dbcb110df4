"""Why a message is not worked on, for its producer and for the dead letters."""

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
    """Why a message is not worked on.

    Attributes
    ----------
    code
        ``invalid_message`` or ``too_large``.
    kind
        What a dead letter's reason begins with: one of the constants of this module.
    reason
        One sentence: the place of the first problem, and what was expected there.
    problems
        All of them.
    task_id
        Where the producer waits for its answer; None where it cannot be reached.
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
    """Ends the check of a message. It never leaves this package."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal

    @classmethod
    def of(cls, kind: str, problems: list[Problem], task_id: str | None = None) -> Self:
        """Return the error for ``problems``, of which there is one at least."""
        first = problems[0]
        reason = f"{first['path']}: {first['message']}" if first["path"] else first["message"]
        if len(problems) > 1:
            reason += f" (and {len(problems) - 1} more)"
        return cls(Refusal(Code.INVALID_MESSAGE, kind, reason, problems, task_id))

    @classmethod
    def at(cls, path: str, kind: str, message: str, task_id: str | None = None) -> Self:
        """Return the error for a problem that keeps others from being found."""
        return cls.of(kind, [{"path": path, "type": kind, "message": message}], task_id)

    @classmethod
    def too_large(cls, message: str, task_id: str | None, problems: Iterable[Problem] = ()) -> Self:
        """Return the error for a message over a limit, whatever else is wrong with it."""
        first: Problem = {"path": "", "type": TOO_LARGE, "message": message}
        return cls(Refusal(Code.TOO_LARGE, TOO_LARGE, message, [first, *problems], task_id))

    def with_others(self, problems: Iterable[Problem], task_id: str | None) -> Refusal:
        """Return the refusal with the problems that were found before."""
        own = self.refusal
        if own.kind == PROTOCOL_1:
            # What else is missing is where protocol 1 has it.
            return replace(own, task_id=task_id)
        return RefusedError.of(own.kind, [*own.problems, *problems], task_id).refusal
