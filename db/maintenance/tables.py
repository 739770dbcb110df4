"""``VACUUM`` and ``ANALYZE`` of the tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

import psycopg
from sqlalchemy import Connection, Engine, text

from db.errors import OperationError
from db.locks import alone
from db.maintenance import EVERY_TABLE


@dataclass(slots=True)
class Maintained:
    """Seconds for each table; ``skipped`` if another run was in progress."""

    seconds: dict[str, float] = field(default_factory=dict)
    skipped: bool = False


def vacuum(engine: Engine, *, dry_run: bool) -> Maintained:
    """Run ``VACUUM (ANALYZE)`` on each table.

    https://www.postgresql.org/docs/current/sql-vacuum.html: unlike ``VACUUM FULL`` it does not lock
    out readers and writers.

    Raises OperationError: ``not_done``: the role may not vacuum a table.
    """
    return _each_table(engine, "maintenance.vacuum", "VACUUM (ANALYZE) {table}", dry_run=dry_run)


def analyze(engine: Engine, *, dry_run: bool) -> Maintained:
    """Run ``ANALYZE`` on each table, for the planner's statistics.

    Raises OperationError: ``not_done``: the role may not analyze a table.
    """
    return _each_table(engine, "maintenance.analyze", "ANALYZE {table}", dry_run=dry_run)


def _each_table(engine: Engine, name: str, statement: str, *, dry_run: bool) -> Maintained:
    done = Maintained()
    with alone(engine, name) as free:
        if not free:
            return Maintained(skipped=True)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in EVERY_TABLE:
                start = monotonic()
                if not dry_run:
                    with _warnings_as_errors(connection, table):
                        connection.execute(text(statement.format(table=table)))
                done.seconds[table] = round(monotonic() - start, 3)
    return done


@contextmanager
def _warnings_as_errors(connection: Connection, table: str) -> Iterator[None]:
    """Raise the server's warning that it skips a table, which it does not report as an error."""
    warnings: list[str] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            warnings.append(diagnostic.message_primary or "")

    driver = cast("psycopg.Connection", connection.connection.driver_connection)
    driver.add_notice_handler(note)
    try:
        yield
    finally:
        driver.remove_notice_handler(note)
    if warnings:
        raise OperationError(
            "not_done",
            f"PostgreSQL skipped the table {table}: {'; '.join(warnings)}",
            "set TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL to a role that owns the tables, or has "
            "MAINTAIN on them",
        )
