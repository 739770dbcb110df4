"""Delete in batches: short transactions with pauses."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

LOCK_TIMEOUT: Final = "2s"
"""Shorter than the lock timeout of a publish, which may wait for rows that the batch has locked."""

# A crash of the server may undo the last batches; the next run deletes their rows again. So no
# batch waits for the disk: https://www.postgresql.org/docs/current/wal-async-commit.html
_SETTINGS: Final = text(
    f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}', true),"
    " set_config('synchronous_commit', 'off', true)"
)


@dataclass(slots=True)
class Deleted:
    """Result of a cleanup.

    Attributes
    ----------
    rows
        Deleted rows, without those deleted by cascade.
    batches
        Transactions that deleted rows.
    skipped_batches
        Transactions that failed with a lock timeout or a deadlock; the next run retries their rows.
    skipped
        Whether another run was in progress.
    """

    rows: int = 0
    batches: int = 0
    skipped_batches: int = 0
    skipped: bool = False


def in_batch(connection: Connection, done: Deleted, delete: Callable[[], int | None]) -> bool:
    """Run ``delete`` in a transaction, then pause as long; False after a timeout or a deadlock.

    So a cleanup uses at most half of one processor, and leaves the other half to renders.

    Parameters
    ----------
    delete
        Returns the number of deleted rows, or None when there was nothing to delete.

    """
    start = monotonic()
    try:
        with connection.begin():
            connection.execute(_SETTINGS)
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


def longest_prefix(sizes: list[int], budget: int) -> int:
    """Return the length of the longest prefix of ``sizes`` whose sum is at most ``budget``."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > budget:
            return count
    return len(sizes)
