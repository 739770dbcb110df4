"""Statements that psycopg executes without SQLAlchemy: half the processor time of each.

A write has about eight small statements, and SQLAlchemy takes as long for one as psycopg and the
connection together. Parameters of type JSON have to be wrapped (psycopg, "JSON adaptation").
"""

from typing import Any

import psycopg
from sqlalchemy import Executable, make_url
from sqlalchemy.orm import Session
from sqlalchemy.sql import ClauseElement

from db.session import driver_connection

_DIALECT = make_url("postgresql+psycopg://").get_dialect()()


class Direct:
    """A statement, compiled once; results are psycopg's.

    Parameters
    ----------
    statement
        With a ``bindparam`` for each value that differs, and none with ``expanding``.
    """

    def __init__(self, statement: Executable) -> None:
        assert isinstance(statement, ClauseElement)  # noqa: S101 - for the type checker
        compiled = statement.compile(dialect=_DIALECT)
        self._sql = str(compiled).encode()
        self._constants = dict(compiled.params)

    def execute(self, session: Session, **values: Any) -> psycopg.Cursor[tuple[Any, ...]]:  # noqa: ANN401 - column values
        """Execute it inside the transaction of a session."""
        return driver_connection(session).execute(self._sql, {**self._constants, **values})
