"""How many connections the workers can open, beside how many the server takes."""

from dataclasses import dataclass

from sqlalchemy import Engine

from db.monitoring.reader import Row, reading
from db.session import Database


@dataclass(frozen=True, slots=True)
class Pool:
    """Connections, wanted and had.

    Attributes
    ----------
    pool_size, max_overflow, pool_timeout, pool_recycle
        The settings of each process's pool; times in seconds.
    processes
        How many processes there are of all workers.
    together
        What all of them open at the most, each with a full pool.
    usable
        What the server takes but for superusers.
    used
        What is taken now, in all databases.
    fits
        Whether the usable ones are enough for ``together``.
    verdict
        The same in a sentence.
    sessions
        Those of this database by application and state.
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
    """Return what ``processes`` processes with these settings may open, and what there is."""
    with reading(engine) as reader:
        limits = reader.row("connection_limits")
        sessions = reader.rows("connections")
    each = database.pool_size + database.max_overflow
    usable = limits["most"] - limits["reserved"]
    together = each * processes
    verdict = f"{processes} x {each} = {together} connections at the most, of {usable}"
    if together > usable:
        share = max(usable // processes, 1)
        verdict += (
            f": under a pool of threads use TEMPLATE_SERVICE_DB_POOL_SIZE={share} and "
            "TEMPLATE_SERVICE_DB_MAX_OVERFLOW=0, or raise max_connections; a prefork process "
            "works on one message at a time and opens one or two"
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
