"""Sessions that are ended from outside: those that do nothing, and those that others wait for.

Only sessions of clients in this database are: never one's own, a standby's or a base backup's, and
never autovacuum, which gives way by itself unless it prevents a wraparound.
"""

from collections.abc import Sequence
from typing import Final, Literal

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from db.errors import OperationError
from db.monitoring.reader import Row, reading, statement

Outcome = Literal["ended", "gone", "not allowed", "does not end"]
IDLE: Final = "idle"
# An aborted transaction holds its locks too, until the client rolls it back.
IN_TRANSACTION: Final = ("idle in transaction", "idle in transaction (aborted)")


def idle_sessions(engine: Engine, seconds: float, states: Sequence[str]) -> list[Row]:
    """Return the sessions that have been in one of ``states`` for more than ``seconds``."""
    with reading(engine) as reader:
        return reader.rows("idle_sessions", seconds=seconds, states=list(states))


def blocking_sessions(engine: Engine, pid: int | None = None) -> list[Row]:
    """Return the sessions that others wait for and that wait for nobody, or the one of ``pid``.

    Raises
    ------
    OperationError
        ``not_blocking``: nobody waits for that one, or it waits for another itself.
    """
    with reading(engine) as reader:
        found = reader.rows("blockers")
        prepared = (
            [] if found else [lock for lock in reader.rows("locks") if not lock["blocking_pid"]]
        )
    if pid is None:
        if prepared:
            raise OperationError(
                "prepared_transaction",
                "a prepared transaction blocks others, and has no session that could be ended",
                "find it with SELECT gid FROM pg_prepared_xacts, and end it with "
                "COMMIT PREPARED or ROLLBACK PREPARED",
            )
        return found
    if chosen := [row for row in found if row["pid"] == pid]:
        return chosen
    raise OperationError(
        "not_blocking",
        f"session {pid} is not at the head of those that others of this database wait for",
        "see who blocks whom: template-service db locks",
    )


def end(engine: Engine, sessions: Sequence[Row]) -> list[Row]:
    """End sessions that were found before; return for each its ``pid`` and ``outcome``.

    ``gone`` also stands for one that has begun to work meanwhile; it is left alone.
    """
    return [{"pid": row["pid"], "outcome": _end(engine, row)} for row in sessions]


def _end(engine: Engine, row: Row) -> Outcome:
    wanted = {
        "pid": row["pid"],
        "started": row["started"],
        "state": row["state"] if "changed" in row else None,
        "changed": row.get("changed"),
    }
    try:
        with engine.connect() as connection:
            ended = connection.scalar(text(statement("end_session")), wanted)
    except DBAPIError as error:
        # Of a superuser's session, or of a role that this one is not a member of.
        if isinstance(error.orig, InsufficientPrivilege):
            return "not allowed"
        raise
    if ended is None:
        return "gone"
    return "ended" if ended else "does not end"
