"""The figures of the guide's monitoring, few enough to be asked for every minute."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from db.errors import OperationError
from db.monitoring.reader import Row, reading

# Sizes wait for whoever locks a table against readers; the rest does not.
_PATIENCE: Final = "200ms"


@dataclass(frozen=True, slots=True)
class Figures:
    """What the queries of these names tell.

    Attributes
    ----------
    figures, replicas, slots, archiver
        Rows of the queries of these names.
    tables
        Rows of ``sizes``; None while a table is locked against readers.
    """

    figures: Row
    tables: list[Row] | None
    replicas: list[Row]
    slots: list[Row]
    archiver: Row


def figures(engine: Engine) -> Figures:
    """Return the figures of this moment; it takes a few milliseconds of the database's time."""
    with reading(engine) as reader:
        counted = reader.row("figures")
        replicas = reader.rows("replicas")
        slots = reader.rows("slots")
        archiver = reader.row("archiver")
    try:
        with reading(engine, lock_timeout=_PATIENCE) as reader:
            sizes = reader.rows("sizes")
    except OperationError as error:
        if error.kind != "locked":
            raise
        sizes = None
    return Figures(counted, sizes, replicas, slots, archiver)
