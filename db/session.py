"""Engine, sessions, and transient database errors."""

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
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import (
    DBAPIError,
    PendingRollbackError,
    ResourceClosedError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from db.addresses import CLIENT_ENCODING, FORMATS, Database, connection_options
from db.waits import GRACE_SECONDS, Connection

PING_AFTER: Final = 1.0
"""Idle seconds after which the pre-ping of a connection is sent to the server."""

QUICK_SECONDS: Final = 10.0
"""For a statement that reads or writes a few rows, and waits for another beat's lock at most."""

# SQLSTATEs (PostgreSQL, appendix A) that psycopg does not count as operational errors.
_TRANSIENT: Final = {
    "25006",  # a primary that has become a standby
    "25P03",  # idle_in_transaction_session_timeout: this process was suspended
    "25P04",  # transaction_timeout
}


def sqlalchemy_url(url: str) -> URL:
    """Return a ``postgresql://`` URL for SQLAlchemy with psycopg 3.

    Host and port are in its query, where SQLAlchemy supports several of them.

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
        query={"client_encoding": CLIENT_ENCODING, **options},
    )


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
            # A lost peer is detected after 10 + 3 * 5 s, unacknowledged data after 20 s, instead
            # of the kernel's two hours (tcp(7)).
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
            **_session_options(database),
        },
    )
    _wait_no_longer_than(engine, database.statement_timeout)
    if database.transaction_pooler:
        event.listen(engine, "connect", _use_formats)
    _ping_only_after_rest(engine)
    event.listen(engine, "reset", _leave_no_transaction)
    event.listen(engine, "engine_connect", _leave_autocommit)
    return engine


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Return a factory of sessions, whose objects remain readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


def _session_options(database: Database) -> dict[str, Any]:
    """Return the options for the state that a connection keeps between transactions.

    A pooler in transaction mode keeps nothing: it refuses the startup parameter ``options``, and
    a prepared statement may be missing on the next server connection
    (https://www.pgbouncer.org/features.html). Then the role's statement timeout applies.
    """
    if database.transaction_pooler:
        return {"prepare_threshold": None}
    return {
        "options": f"-c statement_timeout={int(database.statement_timeout * 1000)} "
        # JIT compilation takes longer than any statement here (PostgreSQL, chapter 32).
        f"-c jit=off -c timezone=UTC {FORMATS}"
    }


def _use_formats(connection: DBAPIConnection, _: object) -> None:
    """Set time zone and format, of the few parameters that PgBouncer keeps for each client."""
    driver = cast("Connection", connection)
    driver.execute("SET TimeZone TO 'UTC'")
    driver.execute("SET DateStyle TO ISO")
    driver.commit()


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
            if not connection.autocommit:
                connection.autocommit = True
            yield connection
        finally:
            # In the middle of a statement it cannot be used again.
            if connection.pgconn.transaction_status != TransactionStatus.IDLE:
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
    """Return psycopg's connection of a session, inside its transaction.

    Nothing is pending in a session: what is written is written by statements.
    """
    return cast("psycopg.Connection", session.connection().connection.driver_connection)


def is_transient(error: BaseException) -> bool:
    """Return whether a retry of the transaction may succeed.

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


def _leave_no_transaction(connection: DBAPIConnection, *_: object) -> None:
    """Roll back an open transaction when a connection is returned to the pool.

    SQLAlchemy assumes that a COMMIT ends the transaction even if it raises. One that was never sent
    does not (after a MemoryError, for example): the next user of the connection would see the rows
    of the transaction, including the record of its own message, and lose them with the connection.
    """
    cast("Connection", connection).rollback()


def _leave_autocommit(connection: SqlConnection) -> None:
    """Begin transactions again on a connection that :func:`autocommitting` has used last.

    Not when it is returned: a process that renders uses it for the next render.
    """
    driver = cast("Connection", connection.connection.driver_connection)
    if driver.autocommit:
        driver.autocommit = False


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
