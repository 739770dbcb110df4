"""A PostgreSQL server on a data directory: initdb, command line, readiness, lock file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import psutil

from db.cluster.children import Rights
from db.cluster.processes import Process, wait_until
from db.cluster.programs import Programs

LOCK_FILE: Final = "postmaster.pid"
# Lines of the lock file, counted from 0: PostgreSQL, src/include/utils/pidfile.h.
_PID, _PORT, _SOCKET, _LISTEN, _STATUS = 0, 3, 4, 5, 7


class Postmaster(NamedTuple):
    """The lock file of a running server."""

    pid: int
    port: int
    socket: str
    listen: str
    status: str

    @classmethod
    def read(cls, data: Path) -> Self | None:
        """Return the lock file of a data directory; ``None`` if it is missing or incomplete."""
        try:
            lines = [line.strip() for line in (data / LOCK_FILE).read_text().splitlines()]
            lines += [""] * (_STATUS + 1 - len(lines))
            return cls(
                int(lines[_PID]), int(lines[_PORT]), lines[_SOCKET], lines[_LISTEN], lines[_STATUS]
            )
        except (OSError, ValueError):
            return None


def initdb(
    programs: Programs, data: Path, rights: Rights, *options: str, files: Sequence[int] = ()
) -> None:
    """Create a data directory in a directory that ``rights`` owns and that is empty.

    Raises OperationError: ``initdb_failed``, or one of the kinds of
    :data:`db.postgres_errors.CAUSES`.
    """
    programs.check_output(
        "initdb",
        ["--encoding=UTF8", "--locale=C", "--no-instructions", *options, f"--pgdata={data}"],
        rights=rights,
        files=files,
    )


def server_command(programs: Programs, data: Path, settings: Mapping[str, str]) -> list[str]:
    """Return the command line of a server; ``settings`` override the data directory's."""
    options = [part for item in settings.items() for part in ("-c", "=".join(item))]
    return [programs.path("postgres"), "-D", str(data), *options]


def is_ready(data: Path, process: Process) -> bool:
    """Return whether this very process accepts connections, which in recovery is at its end."""
    found = Postmaster.read(data)
    return found is not None and found.pid == process.pid and found.status == "ready"


def wait_ready(data: Path, process: Process, timeout: float) -> None:
    """Wait until a server accepts connections.

    Raises OperationError: ``server_failed``, or one of the kinds of
    :data:`db.postgres_errors.CAUSES`, with the end of its log.
    """
    wait_until(lambda: not process.running or is_ready(data, process), timeout)
    if not process.running:
        raise process.failure("ended instead of starting")
    if not is_ready(data, process):
        raise process.failure(f"did not answer within {timeout:g} s")


def remove_stale_lock(data: Path) -> None:
    """Remove the lock file when its process number now belongs to some other program.

    PostgreSQL itself sees that a number is free, but must take any other process of its user for a
    running server. A number comes round again only long after the server's last child.
    """
    found = Postmaster.read(data)
    if found is None:
        return
    try:
        command = psutil.Process(found.pid).cmdline()
    except psutil.Error:
        return
    if str(data) not in command:
        (data / LOCK_FILE).unlink()
