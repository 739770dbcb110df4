"""Exceptions that do not depend on the contract."""

from typing import Any


class ServiceError(Exception):
    """A refusal. Of a code that is newer than this client, it is of this class itself.

    Attributes
    ----------
    code
        What to decide by, such as ``template_not_found``.
    message
        A sentence for a person.
    details
        All problems of the message, each with ``path``, ``type`` and ``message``.
    """

    def __init__(self, code: str, message: str, details: list[dict[str, Any]]) -> None:
        super().__init__(code, message, details)
        self.code = code
        self.message = message
        self.details = details

    def __str__(self) -> str:
        """Return code, sentence, and the first problems with their places."""
        problems = "; ".join(f"{each['path']}: {each['message']}" for each in self.details[:3])
        more = "; …" if len(self.details) > 3 else ""  # noqa: PLR2004 - as above
        return f"{self.code}: {self.message}" + (f" ({problems}{more})" if problems else "")


class DefectError(Exception):
    """The message failed without a code: a defect of the service, or a task that hung."""


class NoAnswerError(TimeoutError):
    """There was no answer in time; the message may still be worked on.

    Attributes
    ----------
    task_id
        Id of the message, with which its answer can be asked for again.
    """

    def __init__(self, task_id: str, seconds: float) -> None:
        super().__init__(f"no answer to {task_id} within {seconds:g} s")
        self.task_id = task_id
        self.seconds = seconds

    def __reduce__(self) -> tuple[type["NoAnswerError"], tuple[str, float]]:
        """Return how it is made again in another process, which a pool of processes needs."""
        return type(self), (self.task_id, self.seconds)
