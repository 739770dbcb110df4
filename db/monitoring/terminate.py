"""Terminate idle sessions and sessions that block others.

Only client sessions in this database: never the own one, a standby's or a base backup's, and never
autovacuum, which yields by itself unless it prevents a wraparound.
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
    """Return the sessions that block others and are not blocked, or the one with ``pid``.

    Raises OperationError: ``not_blocking``: that session blocks no other, or is blocked itself.
    """
    with reading(engine) as reader:
        blockers = reader.rows("blockers")
        prepared = (
            [] if blockers else [lock for lock in reader.rows("locks") if not lock["blocking_pid"]]
        )
    if pid is None:
        if prepared:
            raise OperationError(
                "prepared_transaction",
                "a prepared transaction blocks others, and has no session to terminate",
                "find it with SELECT gid FROM pg_prepared_xacts, and end it with "
                "COMMIT PREPARED or ROLLBACK PREPARED",
            )
        return blockers
    if matching := [row for row in blockers if row["pid"] == pid]:
        return matching
    raise OperationError(
        "not_blocking",
        f"session {pid} does not block others in this database, or is blocked itself",
        "see blocking sessions: template-service db locks",
    )


def terminate_sessions(engine: Engine, sessions: Sequence[Row]) -> list[Row]:
    """Terminate sessions that were found before; return ``pid`` and ``outcome`` of each.

    ``gone`` also means that the session is active again; it is not terminated then.
    """
    return [{"pid": row["pid"], "outcome": _terminate(engine, row)} for row in sessions]


def _terminate(engine: Engine, row: Row) -> Outcome:
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
        # A superuser's session, or one of a role that this role is not a member of.
        if isinstance(error.orig, InsufficientPrivilege):
            return "not allowed"
        raise
    if ended is None:
        return "gone"
    return "ended" if ended else "does not end"
