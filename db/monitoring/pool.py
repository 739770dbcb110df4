"""Connections that the workers may open, and the server's limit."""

from dataclasses import dataclass

from sqlalchemy import Engine

from db.addresses import Database
from db.monitoring.reader import Row, reading


@dataclass(frozen=True, slots=True)
class Pool:
    """Connection pools and the server's limits.

    Attributes
    ----------
    together
        Connections of all processes with full pools.
    usable
        Connections that the server accepts, without those reserved for superusers.
    used
        Connections in use, in all databases.
    fits
        Whether ``together`` is at most ``usable``; ``verdict`` says so in a sentence.
    sessions
        Sessions of this database by application and state.
    """

    pool_size: int
    max_overflow: int
    pool_timeout: float
    pool_recycle: int
    processes: int
    together: int
    usable: int
    used: int
    fits: bool
    verdict: str
    sessions: list[Row]


def pool(engine: Engine, database: Database, processes: int) -> Pool:
    """Compare the pools of ``processes`` processes with the server's limits."""
    with reading(engine) as reader:
        limits = reader.row("connection_limits")
        sessions = reader.rows("connections")
    each = database.pool_size + database.max_overflow
    usable = limits["most"] - limits["reserved"]
    together = each * processes
    verdict = f"{processes} x {each} = {together} connections at most, of {usable}"
    if together > usable:
        share = max(usable // processes, 1)
        verdict += (
            f": with a thread pool set TEMPLATE_SERVICE_DB_POOL_SIZE={share} and "
            "TEMPLATE_SERVICE_DB_MAX_OVERFLOW=0, or increase max_connections; a prefork process "
            "handles one message at a time and opens one or two connections"
        )
    return Pool(
        pool_size=database.pool_size,
        max_overflow=database.max_overflow,
        pool_timeout=database.pool_timeout,
        pool_recycle=database.pool_recycle,
        processes=processes,
        together=together,
        usable=usable,
        used=limits["used"],
        fits=together <= usable,
        verdict=verdict,
        sessions=sessions,
    )
