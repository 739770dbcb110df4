"""History of sizes and slow statements, from the recorded runs of ``maintenance.report``."""

from sqlalchemy import Engine

from db.monitoring.reader import Row, reading


def history(engine: Engine, days: int) -> dict[str, list[Row]]:
    """Return the sizes and the slow statements of each day, as its last report has them.

    ``growth_bytes`` is the difference to the next older day.
    """
    with reading(engine) as reader:
        reports = reader.rows("history", days=days)
    sizes: list[Row] = []
    statements: list[Row] = []
    for report in reports:
        day, result = report["day"], report["result"]
        total = result.get("database_bytes")
        tables = result.get("table_bytes") or {}
        if sizes and total is not None and sizes[-1]["database_bytes"] is not None:
            sizes[-1]["growth_bytes"] = sizes[-1]["database_bytes"] - total
        largest = max(tables.items(), key=lambda item: item[1] or 0, default=(None, None))
        sizes.append(
            {
                "day": day,
                "database_bytes": total,
                "growth_bytes": None,
                "largest_table": largest[0],
                "table_bytes": largest[1],
            }
        )
        statements += [{"day": day, **each} for each in result.get("slow_statements") or ()]
    return {"sizes": sizes, "slow_statements": statements}
