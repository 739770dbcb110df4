"""Monitoring figures that are cheap enough to be read every minute."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from db.errors import OperationError
from db.monitoring.extension import require_statements
from db.monitoring.masking import masked
from db.monitoring.reader import Row, reading, rows_unless_locked

# Each minute's report is stored for a month: the slowest, and enough of each to recognize it.
_STATEMENTS: Final = 5
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """Rows of the queries with these names.

    Attributes
    ----------
    tables
        Rows of ``sizes``; None while a table is locked against readers.
    statements
        The slowest statements, without their values; None where they are not counted.
    """

    figures: Row
    tables: list[Row] | None
    replicas: list[Row]
    slots: list[Row]
    archiver: Row
    statements: list[Row] | None


def figures(engine: Engine) -> Figures:
    """Return the current figures; this takes the database a few milliseconds."""
    with reading(engine) as reader:
        counted = reader.row("figures")
        replicas = reader.rows("replicas")
        slots = reader.rows("slots")
        archiver = reader.row("archiver")
    tables = rows_unless_locked(engine, "sizes")
    sizes = None if tables is None else tables["sizes"]
    return Figures(counted, sizes, replicas, slots, archiver, _statements(engine))


def _statements(engine: Engine) -> list[Row] | None:
    try:
        with reading(engine) as reader:
            require_statements(reader)
            rows = reader.rows("slow_queries", rows=_STATEMENTS)
    except OperationError:
        return None
    return [
        {
            "query": " ".join(masked(row["query"]).split())[:_SHOWN],
            **{name: row[name] for name in ("calls", "mean_ms", "max_ms", "total_ms")},
        }
        for row in rows
    ]
