"""How many messages wait: the broker tells, which only the composition root knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tasks.messages.report import QueueFigures


@dataclass(frozen=True, slots=True)
class LetterFigures:
    """Dead letters: what the broker does not tell is None.

    Attributes
    ----------
    size
        Bytes.
    oldest_age_seconds
        Also None without any letter.
    dropped
        How many were ever dropped over the bounds.
    """

    count: int
    size: int | None
    oldest_age_seconds: float | None
    dropped: int | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """The figures of each queue by its name, and of the dead letters."""

    queues: Mapping[str, QueueFigures]
    letters: LetterFigures


Ask = Callable[[], Backlog | None]
"""Returns the figures of the broker, or None when it does not answer."""

_ask: Ask | None = None


def install(function: Ask) -> None:
    """Set how the broker is asked in this process."""
    global _ask  # noqa: PLW0603 - one per process, as is the Celery app
    _ask = function


def ask() -> Backlog | None:
    """Return the figures of the broker, or None when it does not answer.

    Raises
    ------
    RuntimeError
        Nothing was installed: the tasks were imported without the worker's app.
    """
    if _ask is None:
        raise RuntimeError("no backlog is installed: import worker.app first")
    return _ask()
