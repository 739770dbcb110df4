"""One moment of the database: sessions, locks, waits and sizes."""

from typing import Final

from sqlalchemy import Engine

from db.monitoring.reader import Row, reading, rows_unless_locked

_LARGEST: Final = 8


def moment(engine: Engine) -> dict[str, list[Row]]:
    """Return the rows of each section; without sizes while a table is locked against readers."""
    with reading(engine) as reader:
        sections = {
            "connections": reader.rows("connection_limits"),
            "sessions": reader.rows("activity"),
            "locks": reader.rows("locks"),
            "waits": reader.rows("wait_events"),
        }
    if (sizes := rows_unless_locked(engine, "database_size", "sizes")) is not None:
        sections["database"] = sizes["database_size"]
        sections["relations"] = sizes["sizes"][:_LARGEST]
    return sections
