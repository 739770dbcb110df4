"""Client-side timeouts and interruption of waits for PostgreSQL.

If the server hangs (stopped, or behind a network that drops packets), its kernel may still
acknowledge packets, so neither ``tcp_user_timeout`` nor a keepalive ends the wait, and
``statement_timeout`` runs on the server. So the client needs a timeout too.

A time limit interrupts a process with a signal. An exception of a signal handler may occur between
any two instructions: while a lock of the connection pool is held, or after the COMMIT was
acknowledged and before the connection has noticed. Here it is raised only while the process waits
for the server, as a :class:`psycopg.OperationalError` with the connection closed, like any lost
connection. So the code above this module needs no third way in which a statement can end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import IsolationLevel
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout
from psycopg.pq import TransactionStatus

GRACE_SECONDS: Final = 2.0
"""The client's timeout in addition to the server's ``statement_timeout``."""


class Interruption:
    """The request to end this process's wait for PostgreSQL, one for each process.

    Only the main thread is interrupted, because only it runs signal handlers.
    """

    def __init__(self) -> None:
        self._waiting = False
        self._requested = False
        self._postponed = False

    @property
    def waiting(self) -> bool:
        """Whether :meth:`request` would end a wait now."""
        return self._waiting

    def clear(self) -> None:
        """Discard a pending request."""
        self._requested = False

    def request(self) -> None:
        """End the current wait of this process, or else its next one.

        Call it from signal handlers only.
        """
        if self._waiting:
            self._waiting = False
            raise _InterruptedError
        self._requested = True

    def begin(self) -> None:
        """Let :meth:`request` end what follows, up to :meth:`end`."""
        if self._postponed:
            return
        self._waiting = True
        # In this order: a request before the line above is handled here, a later one has raised.
        if self._requested:
            self._waiting = self._requested = False
            raise _InterruptedError

    def end(self) -> None:
        """Let :meth:`request` only set a flag again."""
        self._waiting = False

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Postpone requests to the next wait after the block."""
        self._postponed = True
        try:
            yield
        finally:
            self._postponed = False


interruption: Final = Interruption()


class _InterruptedError(Exception):
    """Ends a wait; never leaves this module."""


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when a wait is interrupted, or the server is a standby.

    Attributes
    ----------
    longest_wait
        Timeout of a statement in seconds, or None.
    """

    longest_wait: float | None = None

    # SQLAlchemy calls these when it returns a connection to the pool; an exception would lose its
    # slot there. Nothing is sent to the server.
    def set_autocommit(self, value: bool) -> None:  # noqa: FBT001 - psycopg's signature
        """Change the mode of a connection that is in no transaction."""
        with interruption.postponed():
            super().set_autocommit(value)

    def set_isolation_level(self, value: IsolationLevel | None) -> None:
        """Change the isolation level of the transactions to come."""
        with interruption.postponed():
            super().set_isolation_level(value)

    def rollback(self) -> None:
        """Roll back, if there is a transaction."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Return the server's answer.

        Raises psycopg.OperationalError: it did not answer in time, or the process was interrupted.
        The connection is closed then, and when the server says that it only reads.
        """
        if timeout is not None:  # of a caller who waits for notifications
            return super().wait(gen, interval, timeout)
        try:
            try:
                interruption.begin()
                return super().wait(gen, interval, self.longest_wait)
            finally:
                interruption.end()
        except _InterruptedError:
            self.close()
            raise psycopg.OperationalError("the wait for the server was interrupted") from None
        except _WaitTimeout:
            self.close()
            message = f"the server did not answer within {self.longest_wait:g} s"
            raise psycopg.OperationalError(message) from None
        except psycopg.errors.ReadOnlySqlTransaction:
            # A primary that has become a standby: the next connection may reach the new primary.
            self.close()
            raise
        except psycopg.Error:
            raise
        except BaseException:
            # Out of memory, or the time limit of maintenance. An open connection would hold its
            # locks until it is garbage-collected.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()
            raise
