"""Mutual exclusion by advisory locks of transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine, text

_TAKE = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
_HAS_TRANSACTION_TIMEOUT: Final = (17,)


@contextmanager
def alone(engine: Engine, name: str) -> Iterator[bool]:
    """Hold the advisory lock of ``name`` in the engine's database; yield whether it was free.

    It uses a connection of its own, in a transaction: session-level locks break behind a
    transaction pooler (https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS).
    That transaction is READ COMMITTED and idle, so it holds no snapshot: neither ``VACUUM`` nor
    ``REINDEX CONCURRENTLY`` waits for it, however long it lasts.
    """
    with engine.connect() as connection, connection.begin():
        is_free = bool(connection.scalar(_TAKE, {"name": name}))
        # After the lock, not before it: a query's portal holds its snapshot until the next
        # statement of the transaction, and this statement has none.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        if (connection.dialect.server_version_info or ()) >= _HAS_TRANSACTION_TIMEOUT:
            connection.exec_driver_sql("SET LOCAL transaction_timeout = 0")
        yield is_free
