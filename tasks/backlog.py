"""How many messages wait: the broker tells, which only the composition root knows."""

from collections.abc import Callable, Mapping

from tasks.messages.report import QueueFigures

Ask = Callable[[], Mapping[str, QueueFigures] | None]
"""Returns the figures of each queue by its name, or None when the broker does not answer."""

_ask: Ask | None = None


def install(function: Ask) -> None:
    """Set how the broker is asked in this process."""
    global _ask  # noqa: PLW0603 - one per process, as is the Celery app
    _ask = function


def ask() -> Mapping[str, QueueFigures] | None:
    """Return the figures of each queue, or None when the broker does not answer.

    Raises
    ------
    RuntimeError
        Nothing was installed: the tasks were imported without the worker's app.
    """
    if _ask is None:
        raise RuntimeError("no backlog is installed: import worker.app first")
    return _ask()
