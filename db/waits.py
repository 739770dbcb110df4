"""Waits for PostgreSQL that end: after a time without an answer, or when the process must stop.

A server that is silent (stopped, or behind a network that drops packets) still has its kernel
acknowledge what is sent, so neither ``tcp_user_timeout`` nor a keepalive ends the wait, and
``statement_timeout`` is the server's own clock. So the client has a clock too.

A time limit interrupts a process with a signal. An exception that a signal handler raises may come
between any two instructions: with a lock of the connection pool held, or after the COMMIT was
answered and before the connection knows. Here it comes only where the process waits for the server,
and there it is what a lost connection is: :class:`psycopg.OperationalError`, with the connection
closed. So nothing above this module has to know of a third way in which a statement may end.
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
"""How much longer than the server's own ``statement_timeout`` the client waits for an answer."""


class Interruption:
    """The request that this process stop waiting for PostgreSQL. There is one for each process.

    Only the main thread is interrupted, as only it runs signal handlers.
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
        """Forget a request that ended no wait."""
        self._requested = False

    def request(self) -> None:
        """End the wait of this process, or its next one where it does not wait.

        For signal handlers: call it from nowhere else.
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
        # In this order: a request before the line above is noticed here, a later one has raised.
        if self._requested:
            self._waiting = self._requested = False
            raise _InterruptedError

    def end(self) -> None:
        """Let :meth:`request` only make a note again."""
        self._waiting = False

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Have requests wait for the end of the block, and the next wait after it."""
        self._postponed = True
        try:
            yield
        finally:
            self._postponed = False


interruption: Final = Interruption()


class _InterruptedError(Exception):
    """Ends a wait; never leaves this module."""


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when a wait for the server is broken off.

    Attributes
    ----------
    longest_wait
        Seconds that the server may take for one statement; None for as long as it likes.
    """

    longest_wait: float | None = None

    # SQLAlchemy calls these when it puts a connection back into the pool; if they raised, its place
    # there would be lost. Nothing is sent to the server.
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
        """Return what the server answers.

        Raises
        ------
        psycopg.OperationalError
            It did not answer in time, or the process was interrupted; the connection is closed.
        """
        if timeout is not None:  # that of who waits for notifications, and takes it for none
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
        except psycopg.Error:
            raise
        except BaseException:
            # Out of memory, or the time limit of maintenance. Left open, the connection would keep
            # its locks until somebody collects the garbage.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()
            raise
