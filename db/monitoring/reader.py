"""Run the named queries of the directory ``sql`` in a read-only transaction with timeouts.

Each file is one statement below a comment with its purpose, its columns with their units, and a
link to PostgreSQL's documentation. Parameters are written ``:name``, so that psql runs a file too:
``psql -v seconds=5 -f long_queries.sql``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from psycopg.errors import InsufficientPrivilege, LockNotAvailable, QueryCanceled
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from db.errors import Kind, OperationError

Row = dict[str, Any]
LOCK_TIMEOUT: Final = "2s"
SHORT_LOCK_TIMEOUT: Final = "200ms"
STATEMENT_TIMEOUT: Final = "60s"
_LIMITS: Final = text(
    "SELECT set_config('lock_timeout', :lock, true), "
    "set_config('statement_timeout', :longest, true)"
)
_COMMENT: Final = "--"


class Reader:
    """Runs the named queries on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def rows(self, name: str, **parameters: object) -> list[Row]:
        """Return the rows of a query, with its columns in order."""
        result = self.connection.execute(text(statement(name)), parameters)
        return [dict(row) for row in result.mappings()]

    def row(self, name: str, **parameters: object) -> Row:
        """Return the only row of a query."""
        return self.rows(name, **parameters)[0]

    def settings(self, *names: str) -> dict[str, str]:
        """Return settings of the server, without those that this role may not read."""
        return {row["name"]: row["value"] for row in self.rows("settings", names=list(names))}

    def installed(self, *names: str) -> bool:
        """Return whether these extensions are in the database."""
        extensions = self.rows("extensions", names=list(names))
        return len([row for row in extensions if row["version"] is not None]) == len(names)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Run the block in a savepoint, so that an error does not abort the transaction."""
        with self.connection.begin_nested():
            yield


@contextmanager
def reading(engine: Engine, lock_timeout: str = LOCK_TIMEOUT) -> Iterator[Reader]:
    """Yield a reader whose transaction is read-only, with short timeouts.

    Raises OperationError: ``locked``: a table is locked against readers; ``too_slow``: a query took
    over a minute.
    """
    with engine.connect() as connection, connection.begin():
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(_LIMITS, {"lock": lock_timeout, "longest": STATEMENT_TIMEOUT})
        try:
            yield Reader(connection)
        except DBAPIError as error:
            if isinstance(error.orig, LockNotAvailable):
                raise OperationError(
                    Kind.LOCKED,
                    "a table is locked against readers",
                    "see the blocking session: template-service db locks",
                ) from None
            if isinstance(error.orig, QueryCanceled):
                raise OperationError(
                    "too_slow",
                    f"PostgreSQL did not answer within {STATEMENT_TIMEOUT}",
                    "see running queries: template-service db long-queries",
                ) from None
            raise


def rows_unless_locked(engine: Engine, *names: str) -> dict[str, list[Row]] | None:
    """Return the rows of queries that read sizes; ``None`` while a table is locked against readers.

    They wait for such a lock, which monitoring should show instead.
    """
    try:
        with reading(engine, lock_timeout=SHORT_LOCK_TIMEOUT) as reader:
            return {name: reader.rows(name) for name in names}
    except OperationError as error:
        if error.kind != Kind.LOCKED:
            raise
        return None


@contextmanager
def permission_explained(message: str, remedy: str) -> Iterator[None]:
    """Turn PostgreSQL's refusal of a statement in the block into ``permission_denied``."""
    try:
        yield
    except DBAPIError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise OperationError(Kind.PERMISSION_DENIED, message, remedy) from None


@lru_cache(maxsize=64)
def statement(name: str) -> str:
    """Return the statement of ``sql/<name>.sql`` without its comment."""
    lines = (files("db.monitoring") / "sql" / f"{name}.sql").read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith(_COMMENT))
