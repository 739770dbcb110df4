"""Room that tables and indexes take without need, and what gives it back.

``VACUUM FULL`` is never the advice: it locks readers out of the table for as long as it takes.
"""

from typing import Final

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db.maintenance import EVERY_TABLE
from db.monitoring.extension import TUPLES
from db.monitoring.reader import Reader, Row, reading

_WORTH_IT: Final = 1024 * 1024  # bytes; in less there is nothing to gain
_DEAD_PERCENT: Final = 20.0
_FREE_PERCENT: Final = 50.0
_SPARSE_PERCENT: Final = 50.0


def bloat(engine: Engine, *, indexes: bool) -> dict[str, list[Row]]:
    """Return the rows of tables, and of B-trees if ``indexes``, each with ``advice``.

    Tables are looked at on disk where pgstattuple is in the database and this role may use it; else
    their statistics are told, which have no ``free_percent``. Indexes are read whole.

    Raises
    ------
    OperationError
        ``locked``, ``too_slow``.
    """
    with reading(engine) as reader:
        measured = reader.installed(TUPLES)
        tables = _measured(reader) if measured else None
        found = {"tables": tables if tables is not None else reader.rows("bloat")}
        if indexes:
            found["indexes"] = reader.rows("bloat_indexes") if tables is not None else []
    for row in found["tables"]:
        row["advice"] = _of_table(row)
    for row in found.get("indexes", []):
        row["advice"] = _of_index(row)
    return found


def _measured(reader: Reader) -> list[Row] | None:
    """Return the rows, or None where this role is no member of pg_stat_scan_tables."""
    try:
        with reader.apart():
            return reader.rows("bloat_measured")
    except DBAPIError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            return None
        raise


def _of_table(row: Row) -> str | None:
    if row["bytes"] < _WORTH_IT:
        return None
    if (row["dead_percent"] or 0) > _DEAD_PERCENT:
        return (
            "template-service maintenance vacuum"
            if row["table"] in EVERY_TABLE
            else f'VACUUM (ANALYZE) "{row["schema"]}"."{row["table"]}"'
        )
    if row.get("free_percent", 0) > _FREE_PERCENT:
        return "new rows will use it; pg_repack gives it back, VACUUM FULL locks readers out"
    return None


def _of_index(row: Row) -> str | None:
    if row["bytes"] >= _WORTH_IT and (row["density_percent"] or 100) < _SPARSE_PERCENT:
        return f'REINDEX INDEX CONCURRENTLY "{row["schema"]}"."{row["index"]}"'
    return None
