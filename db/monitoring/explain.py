"""The query plan of the statement that every render runs, and whether it uses indexes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString, cast

from psycopg.rows import scalar_row
from sqlalchemy import Engine, text

from db.errors import OperationError
from db.monitoring.reader import Reader, reading
from db.queries.sources import CURRENT as STATEMENT

if TYPE_CHECKING:
    import psycopg

_LANGUAGE: Final = "en"
_LARGE: Final = 1024 * 1024  # bytes
_INDEX_SCANS: Final = {"Index Scan", "Index Only Scan"}


@dataclass(frozen=True, slots=True)
class Plan:
    """Query plan for one template.

    Attributes
    ----------
    milliseconds
        Execution time.
    indexes
        Used indexes.
    whole_tables
        Tables that were scanned sequentially.
    large_tables
        Tables of more than 1 MiB, for which an index would be faster.
    verdict
        The result in a sentence.
    lines
        The output of EXPLAIN.
    """

    template_id: str
    milliseconds: float
    indexes: tuple[str, ...]
    whole_tables: tuple[str, ...]
    large_tables: tuple[str, ...]
    verdict: str
    lines: tuple[str, ...]


def explain(engine: Engine, template_id: str | None = None) -> Plan:
    """Run the statement for one template, any if None, and return its plan.

    Raises OperationError: ``template_not_found``.
    """
    with reading(engine) as reader:
        explained_id = reader.connection.scalar(
            text(
                "SELECT template_id FROM templates WHERE deleted_at IS NULL "
                "AND template_id = coalesce(CAST(:id AS text), template_id) LIMIT 1"
            ),
            {"id": template_id},
        )
        if explained_id is None:
            named = "no template" if template_id is None else f"no template {template_id}"
            raise OperationError("template_not_found", f"{named} to explain", "create one first")
        driver = cast("psycopg.Connection", reader.connection.connection.driver_connection)
        parameters = {"template_id": explained_id, "language": _LANGUAGE}
        with driver.cursor(row_factory=scalar_row) as cursor:

            def plan(option: LiteralString) -> list[Any]:
                return cursor.execute(option + STATEMENT, parameters).fetchall()

            lines = plan("EXPLAIN (ANALYZE, BUFFERS) ")
            tree = plan("EXPLAIN (ANALYZE, FORMAT JSON) ")[0][0]
        whole = _scanned_tables(tree["Plan"])
        large = [table for table in whole if _bytes(reader, table) > _LARGE]
    used = {node["Index Name"] for node in _nodes(tree["Plan"]) if "Index Name" in node}
    return Plan(
        template_id=explained_id,
        milliseconds=tree["Execution Time"],
        indexes=tuple(sorted(used)),
        whole_tables=tuple(whole),
        large_tables=tuple(large),
        verdict=_verdict(whole, large),
        lines=tuple(lines),
    )


def _verdict(whole: list[str], large: list[str]) -> str:
    if large:
        return (
            f"{', '.join(large)}: sequential scan although large: an index is missing or invalid "
            "(template-service db doctor, alembic upgrade head), or the statistics are stale "
            "(template-service maintenance analyze)"
        )
    if whole:
        return (
            f"{', '.join(whole)}: sequential scan, which is faster for so few pages; indexes are "
            "used once it has grown and been analyzed"
        )
    return "all tables use an index"


def _scanned_tables(plan: dict[str, Any]) -> list[str]:
    return sorted(
        {
            node["Relation Name"]
            for node in _nodes(plan)
            if node["Node Type"].endswith("Seq Scan")
            # A scan of a whole index is no better.
            or (node["Node Type"] in _INDEX_SCANS and "Index Cond" not in node)
        }
    )


def _bytes(reader: Reader, table: str) -> int:
    size = text("SELECT pg_relation_size(to_regclass(quote_ident(:table)))")
    return int(reader.connection.scalar(size, {"table": table}) or 0)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
