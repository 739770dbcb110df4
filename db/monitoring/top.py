"""One moment of the database: sessions, locks, waits and sizes."""

from typing import Final

from sqlalchemy import Engine

from db.errors import OperationError
from db.monitoring.reader import Row, reading

_LARGEST: Final = 8
# Reading sizes waits for locks against readers, which are what this command should show.
_LOCK_TIMEOUT: Final = "200ms"


def moment(engine: Engine) -> dict[str, list[Row]]:
    """Return the rows of each section; without sizes while a table is locked against readers."""
    with reading(engine) as reader:
        sections = {
            "connections": reader.rows("connection_limits"),
            "sessions": reader.rows("activity"),
            "locks": reader.rows("locks"),
            "waits": reader.rows("wait_events"),
        }
    try:
        with reading(engine, lock_timeout=_LOCK_TIMEOUT) as reader:
            sections["database"] = reader.rows("database_size")
            sections["relations"] = reader.rows("sizes")[:_LARGEST]
    except OperationError as error:
        if error.kind != "locked":
            raise
    return sections
