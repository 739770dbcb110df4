"""Engine and sessions, and which database errors may pass by themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect, ExceptionContext
from sqlalchemy.exc import (
    DBAPIError,
    PendingRollbackError,
    ResourceClosedError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from db.addresses import Database, connection_options, libpq_url, refusal
from db.waits import GRACE_SECONDS, Connection

__all__ = [
    "Database",
    "autocommitting",
    "connection_options",
    "driver_connection",
    "is_transient",
    "libpq_url",
    "make_engine",
    "make_sessions",
    "quick_transaction",
    "refusal",
    "sqlalchemy_url",
]

PING_AFTER: Final = 1.0
"""Seconds without use after which the pre-ping of a connection asks the server."""

QUICK_SECONDS: Final = 10.0
"""For a statement that reads or writes a few rows, and waits for another beat's lock at most."""

# SQLSTATEs (PostgreSQL, appendix A) that psycopg does not count as operational errors.
_READ_ONLY: Final = "25006"  # a primary that has become a standby
_PASSING: Final = {
    _READ_ONLY,
    "25P03",  # idle_in_transaction_session_timeout: this process stood still
    "25P04",  # transaction_timeout
}


def sqlalchemy_url(url: str) -> URL:
    """Return ``url`` for SQLAlchemy with psycopg 3; plain ``postgresql://`` is what users write.

    Host and port are in its query, where SQLAlchemy takes several of them.

    Raises
    ------
    ValueError
        As :func:`connection_options` does.
    """
    options = connection_options(url)
    return URL.create(
        "postgresql+psycopg",
        username=options.pop("user", None),
        password=options.pop("password", None),
        database=options.pop("dbname", None),
        query=options,
    )


def make_engine(database: Database, *, application_name: str = "template-service") -> Engine:
    """Return an engine; it connects when it is first used."""
    engine = create_engine(
        sqlalchemy_url(database.url),
        pool_size=database.pool_size,
        max_overflow=database.max_overflow,
        pool_timeout=database.pool_timeout,
        pool_recycle=database.pool_recycle,
        pool_pre_ping=database.pool_pre_ping,
        # Parameters hold the words of templates, which are not for logs.
        hide_parameters=True,
        connect_args={
            "application_name": application_name,
            "connect_timeout": database.connect_timeout,
            "options": f"-c statement_timeout={int(database.statement_timeout * 1000)} "
            # Compiling a plan takes longer than any statement here (PostgreSQL, chapter 32).
            "-c jit=off -c timezone=UTC",
            # A peer that vanished is noticed after 10 + 3 * 5 s, and unsent data after 20 s,
            # instead of the kernel's two hours (tcp(7)).
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        },
    )
    _wait_no_longer_than(engine, database.statement_timeout)
    _ping_only_after_rest(engine)
    event.listen(engine, "handle_error", _leave_a_standby)
    event.listen(engine, "reset", _leave_no_transaction)
    return engine


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Return a factory of sessions; objects stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def autocommitting(engine: Engine) -> Iterator[psycopg.Connection]:
    """Yield a connection of the engine's pool that commits each statement by itself.

    It spares a single SELECT the round trips of a transaction and SQLAlchemy's work around it,
    which `make bench` shows in renders per second.
    """
    pooled = engine.raw_connection()
    try:
        connection = cast("psycopg.Connection", pooled.driver_connection)
        try:
            connection.autocommit = True
            yield connection
        finally:
            # One that is in the middle of a statement can neither be changed nor used again.
            if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                connection.autocommit = False
            else:
                pooled.invalidate()
    finally:
        pooled.close()


@contextmanager
def quick_transaction(engine: Engine) -> Iterator[SqlConnection]:
    """Yield a connection in a transaction of quick statements, on an engine without a timeout.

    A server that is silent is noticed by the client's clock, as it is on the engine of the tasks.
    """
    with engine.connect() as connection:
        driver = cast("Connection", connection.connection.driver_connection)
        longest, driver.longest_wait = driver.longest_wait, QUICK_SECONDS + GRACE_SECONDS
        try:
            with connection.begin():
                connection.execute(text(f"SET LOCAL statement_timeout = {QUICK_SECONDS * 1000:g}"))
                yield connection
        finally:
            driver.longest_wait = longest


def driver_connection(session: Session) -> psycopg.Connection:
    """Return psycopg's connection of a session, whose statements join its transaction."""
    session.flush()
    return cast("psycopg.Connection", session.connection().connection.driver_connection)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same transaction may succeed when it is tried again.

    True for a server that is away, restarting, full or slow, for a lost connection and what follows
    from it, for a deadlock, a serialization failure, and a standby that was taken for the primary.
    """
    if isinstance(error, PoolTimeoutError | PendingRollbackError | ResourceClosedError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    original = error.orig if isinstance(error, StatementError) else error
    if isinstance(original, psycopg.OperationalError | psycopg.InterfaceError):
        return True
    if not isinstance(original, psycopg.Error):
        return False
    # Where the server did not speak, libpq did: of a connection that broke in the middle.
    protocol = original.sqlstate is None and isinstance(original, psycopg.InternalError)
    return protocol or original.sqlstate in _PASSING


def _leave_a_standby(context: ExceptionContext) -> None:
    """Drop all connections of the pool once one turns out to be to a server that only reads."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _leave_no_transaction(connection: DBAPIConnection, *_: object) -> None:
    """Roll back what a connection that goes back into the pool has left open.

    SQLAlchemy counts on a COMMIT to end the transaction even where it raises. One that was never
    sent does not (MemoryError, say): the next user of the connection would see the rows of the
    transaction, the record of its own message among them, and lose all with the connection.
    """
    cast("Connection", connection).rollback()


def _wait_no_longer_than(engine: Engine, statement_timeout: float) -> None:
    """Have a connection closed when the server is silent past its own statement timeout.

    Where there is none, as in maintenance, a statement may take as long as it likes.
    """

    def connect(
        _: Dialect, __: object, arguments: list[Any], options: dict[str, Any]
    ) -> Connection:
        connection = Connection.connect(*arguments, **options)
        if statement_timeout:
            connection.longest_wait = statement_timeout + GRACE_SECONDS
        return connection

    event.listen(engine, "do_connect", connect)


def _ping_only_after_rest(engine: Engine) -> None:
    """Spare a busy connection the pre-ping's round trip before each use.

    A server that went away within the last second is met by the statement itself, which
    :func:`is_transient` has tried again, with a connection that is pinged or new.
    """
    used: WeakKeyDictionary[object, float] = WeakKeyDictionary()
    ping = engine.dialect.do_ping

    def remember(connection: object, _: object) -> None:
        if connection is not None:
            used[connection] = monotonic()

    def do_ping(connection: DBAPIConnection) -> bool:
        if cast("Connection", connection).closed:  # by this process: that costs no question
            return False
        return monotonic() - used.get(connection, 0) < PING_AFTER or ping(connection)

    event.listen(engine, "checkin", remember)
    engine.dialect.do_ping = do_ping  # type: ignore[method-assign, assignment]  # SQLAlchemy has no hook for it
