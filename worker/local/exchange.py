"""Put a restored data directory in the place of the local stack's own."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from db.cluster.processes import LocalServerError
from worker.local.postgres import LocalPostgres
from worker.local.supervisor import detach, down, supervising


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What was done: where the old data directory is now, and whether the stack runs again."""

    kept: Path
    started: bool


def place(directory: Path) -> Path:
    """Return where to restore to: beside the stack's data, so that a rename moves it.

    Raises
    ------
    LocalServerError
        The stack of ``directory`` has no data.
    """
    data = LocalPostgres(directory / "postgres").data
    if not (data / "PG_VERSION").exists():
        raise LocalServerError(f"there is no local PostgreSQL in {directory}")
    return data.with_name("data.restored")


def exchange(directory: Path, restored: Path) -> Exchanged:
    """Stop the stack, swap the data directories, and start it again if it ran.

    The old one stays as ``data.before-TIME``. The password of the local stack does not change, so
    that of the restored cluster is the same.

    Raises
    ------
    LocalServerError
        The stack does not stop, or does not start on the restored data; it says where the old
        ones are.
    """
    data = LocalPostgres(directory / "postgres").data
    ran = supervising(directory) is not None
    down(directory)
    kept = data.with_name(f"data.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    data.rename(kept)
    restored.rename(data)
    if ran:
        try:
            detach(directory)
        except LocalServerError as error:
            raise LocalServerError(f"{error}\nThe data of before are in {kept}") from error
    return Exchanged(kept, ran)
