"""Typed calls of ``pg_restore`` and ``psql``.

https://www.postgresql.org/docs/current/app-pgrestore.html and app-psql.html. Both execute the
statements of the dump as the user who restores, so its checksum is verified before.
"""

import re
import subprocess
from collections.abc import Sequence
from typing import IO, Final

from db.cluster.unnamed import UnnamedFile
from db.commands.core import Client
from db.errors import Kind, OperationError
from db.postgres_errors import program_error

# After a crash the new database is dropped anyway, and the jobs already use all processors.
FAST: Final = {
    "synchronous_commit": "off",
    "maintenance_work_mem": "256MB",
    "max_parallel_maintenance_workers": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_QUOTED: Final = re.compile(r'(ERROR:.*?): ".*')
_SHOWN_LINES: Final = 3


def contents(client: Client, archive: UnnamedFile) -> list[str]:
    """Return the table of contents of a dump in custom format, a line for each object.

    Raises OperationError: ``archive_unreadable``.
    """
    listed = _run(
        client,
        "pg_restore",
        ["--list", str(archive.path)],
        stdout=subprocess.PIPE,
        files=[archive.descriptor],
    )
    lines = listed.decode(errors="replace").splitlines()
    return [line for line in lines if line and not line.startswith(";")]


def restore_archive(
    client: Client, archive: UnnamedFile, *, jobs: int, entries: Sequence[str]
) -> None:
    """Restore a dump in custom format into the client's empty database.

    After an OperationError the database is incomplete.

    Parameters
    ----------
    archive
        Not compressed as a whole: parallel jobs read it at several positions at once. The user of
        ``client`` owns it.
    jobs
        Parallel jobs.
    entries
        The lines of :func:`contents` to restore.
    """
    with _listed(client, entries) as listed:
        arguments = [
            "--exit-on-error",
            "--no-password",
            f"--jobs={jobs}",
            f"--use-list={listed.path}",
            "--dbname=",  # the database of the environment
            str(archive.path),
        ]
        _run(client, "pg_restore", arguments, files=[listed.descriptor, archive.descriptor])


def as_script(
    client: Client, archive: UnnamedFile, script: UnnamedFile, *, entries: Sequence[str]
) -> None:
    """Write entries of :func:`contents` as SQL for :func:`run_script`."""
    with _listed(client, entries) as listed:
        arguments = [f"--use-list={listed.path}", f"--file={script.path}", str(archive.path)]
        files = [listed.descriptor, script.descriptor, archive.descriptor]
        _run(client, "pg_restore", arguments, files=files)


def run_script(client: Client, script: IO[bytes], *, before: str | None = None) -> None:
    """Run the SQL of a plain dump in the client's database, in one transaction.

    After an OperationError the database is unchanged.

    Parameters
    ----------
    script
        A file, which psql reads from its standard input.
    before
        A statement to run first, in the same transaction.
    """
    arguments = [
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--single-transaction",
        "--variable=ON_ERROR_STOP=1",
        # A line that fails is not shown: it may hold a password, or personal data.
        "--variable=VERBOSITY=terse",
        "--output=/dev/null",
        *([] if before is None else [f"--command={before}"]),
        "--file=-",
    ]
    _run(client, "psql", arguments, stdin=script)


def _listed(client: Client, entries: Sequence[str]) -> UnnamedFile:
    listed = UnnamedFile.in_memory(client.rights)
    listed.write(("\n".join(entries) + "\n").encode())
    return listed


def _run(  # noqa: PLR0913 - options by name
    client: Client,
    program: str,
    arguments: Sequence[str],
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    files: Sequence[int] = (),
) -> bytes:
    with client.start(program, arguments, stdin=stdin, stdout=stdout, files=files) as child:
        output, errors = child.communicate()
    if child.returncode != 0:
        raise _error(program, child.returncode, errors)
    return output or b""


def _error(program: str, status: int, errors: bytes) -> OperationError:
    """Return the error, without the statements and values that the programs repeat in it."""
    lines = [
        _QUOTED.sub(r"\1", line)
        for line in errors.decode(errors="replace").splitlines()
        if line.startswith((f"{program}:", "FATAL:", "ERROR:", "launch"))
        or "was not started" in line
    ]
    error = program_error(program, status, "\n".join(lines[:_SHOWN_LINES]).encode())
    if error.kind == f"{program}_failed":
        return OperationError(Kind.RESTORE_FAILED, error.message, error.remedy)
    return error
