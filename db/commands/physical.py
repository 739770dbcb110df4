"""Typed calls of ``pg_basebackup`` and of the programs that read base backups and WAL.

https://www.postgresql.org/docs/current/reference-client.html and reference-server.html. Only
``pg_basebackup`` connects to a server.
"""

import re
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.cluster.children import start_program
from db.cluster.programs import Programs
from db.commands.core import Client
from db.errors import Kind, OperationError
from db.postgres_errors import program_error

Progress = Callable[[int, int], None]
"""Called with the bytes done and an estimate of all bytes."""

_PROGRESS: Final = re.compile(rb"\s*(\d+)/(\d+) kB \(")
_RECORD: Final = re.compile(
    r"rmgr: (\w+) .*?tx: +(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), .*?desc: (.*)", re.ASCII
)
_ERROR_LINES: Final = 40
# A recovery refuses lower values than the primary had; by the names of pg_controldata.
_CAPACITIES: Final = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}


@dataclass(frozen=True, slots=True)
class WalRecord:
    """One record of WAL, as ``pg_waldump`` prints it.

    Attributes
    ----------
    manager
        Its resource manager, such as ``Transaction``.
    transaction
        The 32-bit transaction ID, 0 for none.
    lsn
        Its start, such as ``0/3000028``.
    """

    manager: str
    transaction: int
    lsn: str
    description: str


def base_backup(
    client: Client,
    into: Path,
    *,
    label: str,
    parent_manifest: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Take a plain base backup with the WAL it needs, synced to disk.

    Raises OperationError: see :func:`db.postgres_errors.program_error`.

    Parameters
    ----------
    into
        The directory to create; it is removed after an error.
    parent_manifest
        ``backup_manifest`` of the backup that this one builds on; ``None`` for a full one.
    """
    arguments = [
        f"--pgdata={into}",
        "--format=plain",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        f"--label={label}",
        "--no-password",
        "--progress",
    ]
    if parent_manifest is not None:
        arguments.append(f"--incremental={parent_manifest}")
    errors: deque[bytes] = deque(maxlen=_ERROR_LINES)
    with client.start("pg_basebackup", arguments, stdout=subprocess.DEVNULL) as child:
        for line in child.stderr or ():
            if (match := _PROGRESS.match(line)) is None:
                errors.append(line)
            elif progress is not None:
                progress(int(match[1]) * 1024, int(match[2]) * 1024)
        status = child.wait()
    if status != 0:
        raise program_error("pg_basebackup", status, b"".join(errors))


def verify(programs: Programs, data: Path, *, parse_wal: bool = True) -> None:
    """Verify a base backup against its manifest, every byte of it, and parse its WAL.

    Raises OperationError: ``backup_damaged``, naming the files.
    """
    options = [] if parse_wal else ["--no-parse-wal"]
    # It runs pg_waldump through a shell, and quotes no character of the path.
    path, directory = (".", data) if data.is_dir() else (str(data), Path("/"))
    done = programs.run("pg_verifybackup", ["--quiet", *options, path], directory=directory)
    if done.returncode != 0:
        error = program_error("pg_verifybackup", done.returncode, done.stderr)
        raise OperationError(
            Kind.BACKUP_DAMAGED,
            f"{data} is damaged: {error.message}",
            "use an older base backup (template-service pitr status), and take a new one: "
            "template-service pitr base-backup --full",
        )


def combine(programs: Programs, chain: Sequence[Path], into: Path) -> None:
    """Combine a full backup and the incremental ones on it, in this order, into a full one.

    It is not synced to disk: PostgreSQL does that at its first start.
    """
    arguments = ["--no-sync", "--manifest-checksums=SHA256", f"--output={into}"]
    programs.check_output("pg_combinebackup", [*arguments, *map(str, chain)])


def control_data(programs: Programs, data: Path) -> dict[str, str]:
    """Return the output of ``pg_controldata`` for a data directory, by its names.

    Raises OperationError: ``pg_controldata_failed``: not a data directory, or one of another major
    version.
    """
    output = programs.check_output("pg_controldata", [f"--pgdata={data}"])
    lines = output.decode(errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def capacities(programs: Programs, data: Path) -> dict[str, str]:
    """Return the settings that a server on a data directory needs at least to replay WAL.

    https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-ADMIN
    """
    control = control_data(programs, data)
    return {setting: control[name] for name, setting in _CAPACITIES.items()}


def wal_records(  # noqa: PLR0913 - what to read, and filters by name
    programs: Programs,
    archive: Path,
    first: str,
    last: str,
    *,
    managers: Sequence[str],
    transaction: int | None = None,
) -> Iterator[WalRecord]:
    """Yield the records of segments ``first`` to ``last``, which are of one timeline.

    Raises OperationError: ``wal_damaged``: a segment cannot be read to its end.
    """
    arguments = [f"--path={archive}", *(f"--rmgr={manager}" for manager in managers)]
    if transaction is not None:
        arguments.append(f"--xid={transaction}")
    with start_program([programs.path("pg_waldump"), *arguments, first, last]) as child:
        try:
            for line in child.stdout or ():
                if (match := _RECORD.match(line.decode(errors="replace"))) is not None:
                    yield WalRecord(match[1], int(match[2]), match[3], match[4])
            errors = child.stderr.read() if child.stderr is not None else b""
        finally:
            child.kill()  # the caller may stop iterating
    if child.returncode > 0:
        raise OperationError(
            Kind.WAL_DAMAGED,
            f"the WAL from {first} to {last} in {archive} cannot be read: "
            f"{errors.decode(errors='replace').strip()}",
            "restore to a time before it, or from a base backup after it: "
            "template-service pitr status",
        )
