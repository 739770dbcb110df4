"""``pg_restore`` and ``psql``: a dump becomes tables again.

https://www.postgresql.org/docs/current/app-pgrestore.html and app-psql.html. Both run what is in
the dump, as the user who restores: what they get here has been compared with its checksum before.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from db.cluster.unprivileged import give
from db.commands.core import Client, failure
from db.errors import OperationError

# A crash loses the whole new database anyway, and the jobs fill the processors by themselves.
FAST: Final = {
    "synchronous_commit": "off",
    "maintenance_work_mem": "256MB",
    "max_parallel_maintenance_workers": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_ROLE: Final = re.compile(r'ERROR:\s+role "(?P<name>[^"]*)" does not exist')
_QUOTED: Final = re.compile(r'(ERROR:.*?): ".*')
_UNREADABLE: Final = (
    "unsupported version",
    "does not appear to be a valid",
    "did not find magic string",
    "could not read from input file",
    "corrupt",
)
_NOTED: Final = 3


def contents(client: Client, archive: Path) -> list[str]:
    """Return the table of contents of a dump in custom format, a line for each object.

    Raises
    ------
    OperationError
        ``archive_unreadable``.
    """
    with client.start("pg_restore", ["--list", str(archive)]) as child:
        listed, errors = child.communicate()
    if child.returncode != 0:
        raise _explained("pg_restore", child.returncode, errors)
    lines = listed.decode(errors="replace").splitlines()
    return [line for line in lines if line and not line.startswith(";")]


def restore_archive(client: Client, archive: Path, *, jobs: int, chosen: Sequence[str]) -> None:
    """Restore a dump in custom format into the client's database, which is empty.

    Parameters
    ----------
    client
        The database; its rights must let it read the archive.
    archive
        Not compressed as a whole: parallel jobs read it at several places at once.
    jobs
        Tables and indexes that are made at the same time.
    chosen
        The lines of :func:`contents` to restore.

    Raises
    ------
    OperationError
        What went wrong; the database is then half-made.
    """
    with _list(client, archive.parent, chosen) as listed:
        arguments = [
            "--exit-on-error",
            "--no-password",
            f"--jobs={jobs}",
            f"--use-list={listed}",
            "--dbname=",  # that of the environment
        ]
        _run(client, "pg_restore", [*arguments, str(archive)])


def as_script(client: Client, archive: Path, script: Path, *, chosen: Sequence[str]) -> None:
    """Write chosen lines of :func:`contents` as SQL for :func:`run_script`."""
    with _list(client, archive.parent, chosen) as listed:
        arguments = [f"--use-list={listed}", f"--file={script}"]
        _run(client, "pg_restore", [*arguments, str(archive)])


def run_script(client: Client, script: IO[bytes], *, before: str | None = None) -> None:
    """Run SQL as pg_dump writes it, all of it or nothing, in the client's database.

    Parameters
    ----------
    client
        The database.
    script
        A file: psql reads it from its standard input.
    before
        A statement that is run first, in the same transaction.

    Raises
    ------
    OperationError
        What went wrong; the database is as it was.
    """
    arguments = [
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--single-transaction",
        "--variable=ON_ERROR_STOP=1",
        # Nothing of a line that fails is told: it may hold a password, or personal data.
        "--variable=VERBOSITY=terse",
        "--output=/dev/null",
        *([] if before is None else [f"--command={before}"]),
        "--file=-",
    ]
    _run(client, "psql", arguments, stdin=script)


@contextmanager
def _list(client: Client, folder: Path, chosen: Sequence[str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="template-service-", dir=folder) as inner:
        listed = Path(inner) / "list"
        listed.write_text("\n".join(chosen) + "\n", encoding="utf-8")
        give(Path(inner), client.rights)
        give(listed, client.rights)
        yield listed


def _run(
    client: Client,
    program: str,
    arguments: Sequence[str],
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
) -> None:
    with client.start(program, arguments, stdin=stdin, stdout=subprocess.DEVNULL) as child:
        _, errors = child.communicate()
    if child.returncode != 0:
        raise _explained(program, child.returncode, errors)


def _explained(program: str, status: int, errors: bytes) -> OperationError:
    """Return the error, without the statements and values that the programs repeat in it."""
    lines = [
        _QUOTED.sub(r"\1", line)
        for line in errors.decode(errors="replace").splitlines()
        if line.startswith((f"{program}:", "FATAL:", "ERROR:", "launch"))
        or "was not started" in line
    ]
    text = "\n".join(lines[:_NOTED])
    if (missing := _ROLE.search(text)) is not None:
        return OperationError(
            "roles_missing",
            f"the backup belongs to role {missing['name']}, which this server does not have",
            "make the backup's roles first: backup restore --roles",
        )
    if "unrecognized " in text and "parameter" in text:
        return OperationError(
            "restore_failed",
            f"the server does not know what a pg_dump of another version wrote: {text}",
            "make backups with the programs of the server's own version: set "
            "TEMPLATE_SERVICE_POSTGRES_PROGRAMS",
        )
    if program == "pg_restore" and any(words in text for words in _UNREADABLE):
        return OperationError(
            "archive_unreadable",
            f"pg_restore cannot read the backup: {text}",
            "choose another backup that backup list names; if a newer pg_dump made this one, set "
            "TEMPLATE_SERVICE_POSTGRES_PROGRAMS to newer programs",
        )
    found = failure(program, status, text.encode())
    if found.kind == f"{program}_failed":
        return OperationError("restore_failed", found.message, found.remedy)
    return found
