"""Where dead letters are pruned: on the broker, which only the composition root knows."""

from collections.abc import Callable

Prune = Callable[[int, bool], int]
"""Takes the days that letters are kept, and whether only to count; returns how many went."""

_prune: Prune | None = None


def install(function: Prune) -> None:
    """Set how dead letters are pruned in this process."""
    global _prune  # noqa: PLW0603 - one per process, as is the Celery app
    _prune = function


def prune(days: int, *, dry_run: bool) -> int:
    """Delete the dead letters older than ``days`` days; return how many there were.

    Raises
    ------
    RuntimeError
        Nothing was installed: the tasks were imported without the worker's app.
    """
    if _prune is None:
        raise RuntimeError("no dead letters are installed: import worker.app first")
    return _prune(days, dry_run)
