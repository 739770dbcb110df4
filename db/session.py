"""Engine and sessions, and which database errors may pass by themselves."""

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
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from db.waits import GRACE_SECONDS, Connection

PING_AFTER: Final = 1.0
"""Seconds without use after which the pre-ping of a connection asks the server."""

_SCHEME: Final = re.compile(r"\Apostgres(?:ql)?(?:\+\w+)?://")
# SQLSTATEs (PostgreSQL, appendix A) that psycopg does not count as operational errors.
_READ_ONLY: Final = "25006"  # a primary that has become a standby
_PASSING: Final = {
    _READ_ONLY,
    "25P03",  # idle_in_transaction_session_timeout: this process stood still
    "25P04",  # transaction_timeout
}


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is, and how it is used. Times are seconds."""

    url: str
    pool_size: int = 20
    max_overflow: int = 10
    pool_timeout: float = 30
    pool_recycle: int = 3600
    pool_pre_ping: bool = True
    connect_timeout: int = 5
    statement_timeout: float = 10


def sqlalchemy_url(url: str) -> URL:
    """Return ``url`` for SQLAlchemy with psycopg 3; plain ``postgresql://`` is what users write.

    Host and port are in its query, where SQLAlchemy takes several of them.

    Raises
    ------
    sqlalchemy.exc.ArgumentError
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


def connection_options(url: str) -> dict[str, str]:
    """Return what ``url`` says, as libpq reads it, by libpq's keywords.

    Of several hosts (``postgresql://user:password@one:5432,two:5432/database``) the one that takes
    writes is connected to, unless the address asks for another with ``target_session_attrs``.

    Raises
    ------
    sqlalchemy.exc.ArgumentError
        It is no address of PostgreSQL.
    """
    try:
        options = {
            name: str(value)
            for name, value in conninfo_to_dict(libpq_url(url)).items()
            if value is not None
        }
    except psycopg.ProgrammingError:
        # libpq's own words quote the address, in which a password may be.
        raise ArgumentError(
            "postgresql://user:password@host:port/database was expected, with several hosts as "
            "host1:port1,host2:port2, and %XX for other characters in user and password"
        ) from None
    if "," in options.get("host", ""):
        options.setdefault("target_session_attrs", "read-write")
    return options


def libpq_url(url: str) -> str:
    """Return ``url`` as libpq and its programs take it: ``postgresql://``, whatever the driver.

    https://www.postgresql.org/docs/current/libpq-connect.html: it may name several hosts.
    """
    return _SCHEME.sub("postgresql://", url, count=1)


def refusal(error: BaseException | None) -> str:
    """Return in one line why a connection was refused: what each host said, if several did."""
    first, *others = str(error).strip().splitlines()
    return "; ".join(line.removeprefix("- ") for line in others if line[:2] == "- ") or first


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
    event.listen(engine, "reset", _roll_back_what_is_open)
    return engine


def _roll_back_what_is_open(
    connection: DBAPIConnection, _record: ConnectionPoolEntry, state: PoolResetState
) -> None:
    """End the transaction of a connection that goes back to the pool.

    SQLAlchemy does not when a COMMIT was tried, even if it was never sent: a MemoryError or a soft
    time limit in between would leave a connection in the pool that holds the locks of its work.
    """
    driver = cast("psycopg.Connection", connection)
    is_open = driver.pgconn.transaction_status != TransactionStatus.IDLE
    if is_open and not state.terminate_only:
        driver.rollback()


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
