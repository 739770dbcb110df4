"""Swap the local stack's data directory for a restored one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from db.errors import Kind, OperationError
from worker.local.postgres import LocalPostgres
from worker.local.supervisor import detach, down, supervising


@dataclass(frozen=True, slots=True)
class Swapped:
    """The path of the previous data directory, and whether the stack was started again."""

    kept: Path
    started: bool


def restore_directory(directory: Path) -> Path:
    """Return the path to restore to, on the file system of the stack's data directory.

    Raises OperationError: ``no_data``: the stack of ``directory`` was never started.
    """
    data = LocalPostgres(directory / "postgres").data
    if not (data / "PG_VERSION").exists():
        raise OperationError(
            Kind.NO_DATA, f"no local PostgreSQL in {directory}", "start it: template-service up"
        )
    return data.with_name("data.restored")


def swap_data(directory: Path, restored: Path) -> Swapped:
    """Stop the stack, swap the data directories, and start it again if it ran.

    The previous one is kept as ``data.before-TIME``. The password of the local stack never changes,
    so the restored cluster has the same one.

    Raises OperationError: the stack does not stop, or does not start on the restored data.
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
        except OperationError as error:
            remedy = f"{error.remedy}; the previous data directory is {kept}"
            raise OperationError(error.kind, error.message, remedy) from error
    return Swapped(kept, ran)
