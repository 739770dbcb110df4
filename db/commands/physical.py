"""``pg_basebackup`` and the programs that look at what it made, with typed arguments.

https://www.postgresql.org/docs/current/reference-client.html and reference-server.html. All but
``pg_basebackup`` connect to nothing.
"""

import os
import re
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.cluster.programs import Programs
from db.commands.core import SHOWN_LINES, Client, failure
from db.errors import OperationError

Progress = Callable[[int, int], None]
"""Takes how many bytes are done, and of how many; the second is an estimate."""

CLEANS_HISTORY: Final = 17  # the first pg_archivecleanup with --clean-backup-history
_PROGRESS: Final = re.compile(rb"\s*(\d+)/(\d+) kB \(")
_RECORD: Final = re.compile(
    r"rmgr: (\w+) .*?tx: +(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), .*?desc: (.*)", re.ASCII
)
# What only a base backup meets, beside db.commands.core.CAUSES.
_CAUSES: Final = (
    (
        b"no pg_hba.conf entry for replication",
        "replication_refused",
        "allow it in the server's pg_hba.conf: host replication USER ADDRESS scram-sha-256",
    ),
    (
        b"permission denied to start WAL sender",
        "permission_denied",
        "ALTER ROLE ... REPLICATION, or use a role that has it",
    ),
    (
        b"must be superuser or replication role",
        "permission_denied",
        "ALTER ROLE ... REPLICATION, or use a role that has it",
    ),
    (
        b"WAL summar",
        "summaries_missing",
        "take a full one: pitr base-backup --full",
    ),
)


@dataclass(frozen=True, slots=True)
class WalRecord:
    """One record of WAL as ``pg_waldump`` shows it.

    Attributes
    ----------
    manager
        Its resource manager, such as ``Transaction``.
    transaction
        The 32-bit transaction number, 0 for none.
    lsn
        Where it begins, such as ``0/3000028``.
    description
        What it does.
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

    Parameters
    ----------
    into
        Folder to make.
    parent_manifest
        ``backup_manifest`` of the backup that this one builds on; ``None`` for a full one.

    Raises
    ------
    OperationError
        One of the kinds of :data:`db.commands.core.CAUSES`, ``replication_refused``,
        ``summaries_missing`` or ``pg_basebackup_failed``. The folder is gone then.
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
    errors: deque[bytes] = deque(maxlen=4 * SHOWN_LINES)
    with client.start("pg_basebackup", arguments, stdout=subprocess.DEVNULL) as child:
        for line in child.stderr or ():
            if (match := _PROGRESS.match(line)) is None:
                errors.append(line)
            elif progress is not None:
                progress(int(match[1]) * 1024, int(match[2]) * 1024)
        status = child.wait()
    if status != 0:
        raise _explained(status, b"".join(errors))


def verify(programs: Programs, data: Path, *, parse_wal: bool = True) -> None:
    """Compare a base backup with its manifest, every byte of it, and read its WAL.

    Raises
    ------
    OperationError
        ``backup_damaged``, naming the files.
    """
    options = [] if parse_wal else ["--no-parse-wal"]
    done = _finished(programs, "pg_verifybackup", ["--quiet", *options, str(data)])
    if done.returncode != 0:
        told = failure("pg_verifybackup", done.returncode, done.stderr)
        raise OperationError(
            "backup_damaged",
            f"{data} is damaged: {told.message}",
            "use an older base backup (template-service pitr status), and take a new one: "
            "template-service pitr base-backup --full",
        )


def combine(programs: Programs, chain: Sequence[Path], into: Path) -> None:
    """Make one full backup of a full one and the incremental ones on it, in this order.

    It is not synced to disk: PostgreSQL does that when it first starts on it.

    Raises
    ------
    OperationError
        ``pg_combinebackup_failed`` or ``disk_full``.
    """
    arguments = ["--no-sync", "--manifest-checksums=SHA256", f"--output={into}"]
    _checked(programs, "pg_combinebackup", [*arguments, *map(str, chain)])


def control_data(programs: Programs, data: Path) -> dict[str, str]:
    """Return what ``pg_controldata`` says about a data directory, by the names it uses.

    Raises
    ------
    OperationError
        ``pg_controldata_failed``: it is no data directory, or of another major version.
    """
    told = _checked(programs, "pg_controldata", [f"--pgdata={data}"]).decode(errors="replace")
    pairs = (line.partition(":") for line in told.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def remove_wal_before(programs: Programs, archive: Path, oldest: str) -> None:
    """Remove from an archive the segments before ``oldest``, on every timeline.

    Raises
    ------
    OperationError
        ``pg_archivecleanup_failed``, such as for want of permission.
    """
    newer = programs.major("pg_archivecleanup") >= CLEANS_HISTORY
    options = ["--clean-backup-history"] if newer else []
    _checked(programs, "pg_archivecleanup", [*options, str(archive), oldest])


def wal_records(  # noqa: PLR0913 - what to read, and what of it by name
    programs: Programs,
    archive: Path,
    first: str,
    last: str,
    *,
    managers: Sequence[str],
    transaction: int | None = None,
) -> Iterator[WalRecord]:
    """Yield the records of segments ``first`` to ``last``, which are of one timeline.

    Raises
    ------
    OperationError
        ``wal_damaged``: a segment cannot be read to its end.
    """
    arguments = [f"--path={archive}", *(f"--rmgr={manager}" for manager in managers)]
    if transaction is not None:
        arguments.append(f"--xid={transaction}")
    with subprocess.Popen(  # noqa: S603 - a program of PostgreSQL
        [programs.path("pg_waldump"), *arguments, first, last],
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        text=True,
        errors="replace",
    ) as child:
        try:
            for line in child.stdout or ():
                if (match := _RECORD.match(line)) is not None:
                    yield WalRecord(match[1], int(match[2]), match[3], match[4])
            told = child.stderr.read() if child.stderr is not None else ""
        finally:
            child.kill()  # whoever stops to iterate wants no more of it
    if child.returncode > 0:
        raise OperationError(
            "wal_damaged",
            f"the WAL from {first} to {last} in {archive} cannot be read: {told.strip()}",
            "restore to a time before it, or from a base backup after it: "
            "template-service pitr status",
        )


def _checked(programs: Programs, program: str, arguments: Sequence[str]) -> bytes:
    done = _finished(programs, program, arguments)
    if done.returncode != 0:
        raise failure(program, done.returncode, done.stderr)
    return done.stdout


def _finished(
    programs: Programs, program: str, arguments: Sequence[str]
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - a program of PostgreSQL
        [programs.path(program), *arguments],
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        cwd="/",
    )


def _environment() -> dict[str, str]:
    # pg_waldump shows times in the zone of its process.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _explained(status: int, errors: bytes) -> OperationError:
    error = failure("pg_basebackup", status, errors)
    for words, kind, remedy in _CAUSES:
        if words in errors:
            return OperationError(kind, error.message, remedy)
    return error
