"""Deletes in batches: short transactions, with a rest after each."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

LOCK_TIMEOUT: Final = "2s"
"""Below every publish's patience: what the batch itself has locked meanwhile waits with it."""

# A crash of the server may undo the last batches, and the next run deletes their rows again, so no
# batch keeps the disk busy for itself: https://www.postgresql.org/docs/current/wal-async-commit.html
_BRIEF: Final = text(
    f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}', true),"
    " set_config('synchronous_commit', 'off', true)"
)


@dataclass(slots=True)
class Deleted:
    """What a cleanup did.

    Attributes
    ----------
    rows
        Rows deleted, without those that went with them by cascade.
    batches
        Transactions that deleted something.
    skipped_batches
        Transactions that met a lock for too long, or a deadlock: their rows are left to the next
        run.
    skipped
        Another run was under way.
    """

    rows: int = 0
    batches: int = 0
    skipped_batches: int = 0
    skipped: bool = False


def in_batch(connection: Connection, done: Deleted, delete: Callable[[], int | None]) -> bool:
    """Run ``delete`` in a transaction of its own, and rest for as long as it took.

    So a cleanup takes half of one processor at the most, and leaves the other half to renders.

    Parameters
    ----------
    delete
        Returns how many rows it deleted, or None when there was nothing to delete.

    Returns
    -------
    bool
        Whether nothing was in the way.
    """
    start = monotonic()
    try:
        with connection.begin():
            connection.execute(_BRIEF)
            rows = delete()
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            raise
        done.skipped_batches += 1
        return False
    if rows is not None:
        done.rows += rows
        done.batches += 1
        sleep(monotonic() - start)
    return True


def fitting(sizes: list[int], budget: int) -> int:
    """Return how many of ``sizes``, from the first on, have at most ``budget`` together."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > budget:
            return count
    return len(sizes)
