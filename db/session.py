"""Engine, sessions, and transient database errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect, ExceptionContext
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    PendingRollbackError,
    ResourceClosedError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from db.waits import GRACE_SECONDS, Connection

PING_AFTER: Final = 1.0
"""Idle seconds after which the pre-ping of a connection is sent to the server."""

_SCHEME: Final = re.compile(r"\Apostgres(?:ql)?(?:\+\w+)?://")
# SQLSTATEs (PostgreSQL, appendix A) that psycopg does not raise as operational errors.
_READ_ONLY: Final = "25006"  # a primary that has become a standby
_TRANSIENT: Final = {
    _READ_ONLY,
    "25P03",  # idle_in_transaction_session_timeout: this process was suspended
    "25P04",  # transaction_timeout
}


@dataclass(frozen=True, slots=True)
class Database:
    """Address and pool settings of the database. Times are in seconds."""

    url: str
    pool_size: int = 20
    max_overflow: int = 10
    pool_timeout: float = 30
    pool_recycle: int = 3600
    pool_pre_ping: bool = True
    connect_timeout: int = 5
    statement_timeout: float = 10


def sqlalchemy_url(url: str) -> URL:
    """Return a ``postgresql://`` URL for SQLAlchemy with psycopg 3.

    Host and port are in its query, where SQLAlchemy supports several of them.

    Raises sqlalchemy.exc.ArgumentError: see :func:`connection_options`.
    """
    options = connection_options(url)
    return URL.create(
        "postgresql+psycopg",
        username=options.pop("user", None),
        password=options.pop("password", None),
        database=options.pop("dbname", None),
        query=options,
    )


def connection_options(url: str) -> dict[str, str]:
    """Parse a URL as libpq does; return its options by libpq's keywords.

    Of several hosts (``postgresql://user:password@one:5432,two:5432/database``) the one that
    accepts writes is used, unless the URL has another ``target_session_attrs``.

    Raises sqlalchemy.exc.ArgumentError: it is not a URL of PostgreSQL.
    """
    try:
        options = {
            name: str(value)
            for name, value in conninfo_to_dict(libpq_url(url)).items()
            if value is not None
        }
    except psycopg.ProgrammingError:
        # libpq's own message quotes the URL, which may contain a password.
        raise ArgumentError(
            "postgresql://user:password@host:port/database was expected, with several hosts as "
            "host1:port1,host2:port2, and %XX for other characters in user and password"
        ) from None
    if "," in options.get("host", ""):
        options.setdefault("target_session_attrs", "read-write")
    return options


def libpq_url(url: str) -> str:
    """Return ``url`` for libpq and its programs: with ``postgresql://`` instead of a driver.

    https://www.postgresql.org/docs/current/libpq-connect.html: it may have several hosts.
    """
    return _SCHEME.sub("postgresql://", url, count=1)


def make_engine(database: Database, *, application_name: str = "template-service") -> Engine:
    """Return an engine, which connects at first use."""
    engine = create_engine(
        sqlalchemy_url(database.url),
        pool_size=database.pool_size,
        max_overflow=database.max_overflow,
        pool_timeout=database.pool_timeout,
        pool_recycle=database.pool_recycle,
        pool_pre_ping=database.pool_pre_ping,
        # Parameters contain template texts, which must not be logged.
        hide_parameters=True,
        connect_args={
            "application_name": application_name,
            "connect_timeout": database.connect_timeout,
            "options": f"-c statement_timeout={int(database.statement_timeout * 1000)} "
            # JIT compilation takes longer than any statement here (PostgreSQL, chapter 32).
            "-c jit=off -c timezone=UTC",
            # A lost peer is detected after 10 + 3 * 5 s, unacknowledged data after 20 s, instead
            # of the kernel's two hours (tcp(7)).
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
    """Return a factory of sessions, whose objects remain readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def autocommitting(engine: Engine) -> Iterator[psycopg.Connection]:
    """Yield a pooled connection in autocommit mode.

    It saves a single SELECT the round trips of a transaction and SQLAlchemy's overhead, which
    `make bench` shows in renders per second.
    """
    pooled = engine.raw_connection()
    try:
        connection = cast("psycopg.Connection", pooled.driver_connection)
        try:
            connection.autocommit = True
            yield connection
        finally:
            # In the middle of a statement it can neither be changed nor used again.
            if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                connection.autocommit = False
            else:
                pooled.invalidate()
    finally:
        pooled.close()


def driver_connection(session: Session) -> psycopg.Connection:
    """Return psycopg's connection of a session, inside its transaction."""
    session.flush()
    return cast("psycopg.Connection", session.connection().connection.driver_connection)


def is_transient(error: BaseException) -> bool:
    """Tell whether a retry of the transaction may succeed.

    True for a server that is unreachable, restarting, full or slow, for a lost connection and its
    consequences, a deadlock, a serialization failure, and a standby used as the primary.
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
    # Without SQLSTATE it is an error of libpq: the connection broke in the middle.
    protocol = original.sqlstate is None and isinstance(original, psycopg.InternalError)
    return protocol or original.sqlstate in _TRANSIENT


def _leave_a_standby(context: ExceptionContext) -> None:
    """Drop all connections of the pool when one reports a read-only server."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _leave_no_transaction(connection: DBAPIConnection, *_: object) -> None:
    """Roll back an open transaction when a connection is returned to the pool.

    SQLAlchemy assumes that a COMMIT ends the transaction even if it raises. One that was never sent
    does not (after a MemoryError, for example): the next user of the connection would see the rows
    of the transaction, including the record of its own message, and lose them with the connection.
    """
    cast("Connection", connection).rollback()


def _wait_no_longer_than(engine: Engine, statement_timeout: float) -> None:
    """Close connections whose server does not answer within its own statement timeout.

    Without one, as in maintenance, there is no limit.
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
    """Skip the pre-ping's round trip for connections that were used within the last second.

    If the server was lost since, the statement itself fails, and is retried (see
    :func:`is_transient`) with a connection that is pinged or new.
    """
    used: WeakKeyDictionary[object, float] = WeakKeyDictionary()
    ping = engine.dialect.do_ping

    def remember(connection: object, _: object) -> None:
        if connection is not None:
            used[connection] = monotonic()

    def do_ping(connection: DBAPIConnection) -> bool:
        if cast("Connection", connection).closed:  # by this process
            return False
        return monotonic() - used.get(connection, 0) < PING_AFTER or ping(connection)

    event.listen(engine, "checkin", remember)
    engine.dialect.do_ping = do_ping  # type: ignore[method-assign, assignment]  # SQLAlchemy has no hook for it
