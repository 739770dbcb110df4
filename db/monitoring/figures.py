"""Monitoring figures that are cheap enough to be read every minute."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from db.errors import OperationError
from db.monitoring.reader import Row, reading

# Sizes wait for locks against readers; the other queries do not.
_LOCK_TIMEOUT: Final = "200ms"


@dataclass(frozen=True, slots=True)
class Figures:
    """Rows of the queries with these names.

    Attributes
    ----------
    tables
        Rows of ``sizes``; None while a table is locked against readers.
    """

    figures: Row
    tables: list[Row] | None
    replicas: list[Row]
    slots: list[Row]
    archiver: Row


def figures(engine: Engine) -> Figures:
    """Return the current figures; this takes the database a few milliseconds."""
    with reading(engine) as reader:
        counted = reader.row("figures")
        replicas = reader.rows("replicas")
        slots = reader.rows("slots")
        archiver = reader.row("archiver")
    try:
        with reading(engine, lock_timeout=_LOCK_TIMEOUT) as reader:
            sizes = reader.rows("sizes")
    except OperationError as error:
        if error.kind != "locked":
            raise
        sizes = None
    return Figures(counted, sizes, replicas, slots, archiver)
