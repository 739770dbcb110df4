"""Bloat of tables and indexes, and advice.

``VACUUM FULL`` is never advised: it locks readers out of the table while it runs.
"""

from typing import Final

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db.maintenance import EVERY_TABLE
from db.monitoring.extension import TUPLES
from db.monitoring.reader import Reader, Row, reading
from db.printed import identifier

_MIN_BYTES: Final = 1024 * 1024  # nothing to gain in smaller tables
_DEAD_PERCENT: Final = 20.0
_FREE_PERCENT: Final = 50.0
_SPARSE_PERCENT: Final = 50.0


def bloat(engine: Engine, *, indexes: bool) -> dict[str, list[Row]]:
    """Return the rows of tables, and of B-trees if ``indexes``, each with ``advice``.

    Tables are measured with pgstattuple if it is in the database and this role may use it; else
    their statistics are returned, which have no ``free_percent``. Indexes are read completely.

    Raises OperationError: ``locked``, ``too_slow``.
    """
    with reading(engine) as reader:
        measured = reader.installed(TUPLES)
        tables = _measured(reader) if measured else None
        relations = {"tables": tables if tables is not None else reader.rows("bloat")}
        if indexes:
            relations["indexes"] = reader.rows("bloat_indexes") if tables is not None else []
    for row in relations["tables"]:
        row["advice"] = _table_advice(row)
    for row in relations.get("indexes", []):
        row["advice"] = _index_advice(row)
    return relations


def _measured(reader: Reader) -> list[Row] | None:
    """Return the rows, or None if this role is not a member of pg_stat_scan_tables."""
    try:
        with reader.apart():
            return reader.rows("bloat_measured")
    except DBAPIError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            return None
        raise


def _table_advice(row: Row) -> str | None:
    if row["bytes"] < _MIN_BYTES:
        return None
    if (row["dead_percent"] or 0) > _DEAD_PERCENT:
        return (
            "template-service maintenance vacuum"
            if row["table"] in EVERY_TABLE
            else f"VACUUM (ANALYZE) {identifier(row['schema'], row['table'])}"
        )
    if row.get("free_percent", 0) > _FREE_PERCENT:
        return "new rows will use it; pg_repack frees it, VACUUM FULL locks readers out"
    return None


def _index_advice(row: Row) -> str | None:
    if row["bytes"] >= _MIN_BYTES and (row["density_percent"] or 100) < _SPARSE_PERCENT:
        return f"REINDEX INDEX CONCURRENTLY {identifier(row['schema'], row['index'])}"
    return None
