"""``pg_dump``, ``pg_dumpall`` and ``pg_restore --list`` as typed calls.

https://www.postgresql.org/docs/current/app-pgdump.html
"""

import fcntl
import subprocess
import tempfile
from collections.abc import Generator
from types import TracebackType
from typing import IO, Final, Self

from db.backup.chunks import CHUNK
from db.cluster.programs import Programs
from db.commands.core import Client, failure
from db.errors import OperationError

# For a table that somebody alters; readers and writers are never in the way.
LOCK_WAIT: Final = "60s"
_CONTENTS: Final = {
    "full": (),
    "schema": ("--schema-only",),
    "data": ("--data-only",),
}


def dump(
    client: Client, *, contents: str, table: str | None, form: str, snapshot: str
) -> Generator[bytes, None, None]:
    """Yield what ``pg_dump`` prints.

    Parameters
    ----------
    contents
        ``full``, ``schema``, ``data``, or ``table`` for one table.
    table
        Its name in schema ``public``, exactly.
    form
        ``custom``, uncompressed, or ``plain``.
    snapshot
        Of ``pg_export_snapshot()``: the state of the database that is dumped.

    Raises
    ------
    OperationError
        See :meth:`db.commands.core.Client.run`; after the last bytes, so that a dump that is not
        read to its end proves nothing.
    """
    chosen = _CONTENTS[contents] if table is None else (f"--table={_pattern(table)}",)
    return _printed(
        client,
        "pg_dump",
        [
            f"--format={form}",
            # Compressed here, by more than one core; the programs of the wheel know gzip only.
            "--compress=0",
            "--encoding=UTF8",
            "--no-password",
            f"--lock-wait-timeout={LOCK_WAIT}",
            f"--snapshot={snapshot}",
            *chosen,
        ],
    )


def dump_roles(client: Client, *, database: str, passwords: bool) -> Generator[bytes, None, None]:
    """Yield the SQL that makes the server's roles: ``pg_dump`` knows their names only.

    Parameters
    ----------
    database
        To connect to.
    passwords
        Whether their (hashed) passwords are read too, which takes a superuser.
    """
    return _printed(
        client,
        "pg_dumpall",
        [
            "--globals-only",
            # Their folders are those of one machine.
            "--no-tablespaces",
            "--no-password",
            f"--database={database}",
            *(() if passwords else ("--no-role-passwords",)),
        ],
    )


class Listing:
    """``pg_restore --list`` of an archive that comes in pieces.

    It reads the table of contents at the beginning and takes no more.
    """

    def __init__(self, programs: Programs) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._child = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL
            [programs.path("pg_restore"), "--list"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env={"LC_ALL": "C"},
            cwd="/",
            bufsize=0,
        )
        self._reads = True

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave nothing running."""
        self._child.kill()
        self._close()
        self._child.wait()
        self._errors.close()

    def write(self, piece: bytes) -> None:
        """Show it the next piece."""
        if self._reads and self._child.stdin is not None:
            rest = memoryview(piece)
            try:
                while rest:
                    rest = rest[self._child.stdin.write(rest) :]
            except BrokenPipeError:
                self._reads = False

    def finish(self) -> None:
        """Say that there is no more.

        Raises
        ------
        OperationError
            ``archive_unreadable``: it is no archive that these programs can read.
        """
        self._close()
        if (status := self._child.wait()) != 0:
            self._errors.seek(0)
            raise OperationError(
                "archive_unreadable",
                failure("pg_restore --list", status, self._errors.read()).message,
                "use another backup, or programs as new as those that made it",
            )

    def _close(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()


def _printed(client: Client, program: str, arguments: list[str]) -> Generator[bytes, None, None]:
    # Into a file, since nobody reads a second pipe meanwhile.
    with (
        tempfile.TemporaryFile() as errors,
        client.start(program, arguments, stderr=errors) as child,
    ):
        output = child.stdout
        if output is None:
            raise RuntimeError("its output was asked for")
        _widen(output)
        while piece := output.read1(CHUNK):  # type: ignore[attr-defined]  # a BufferedReader
            yield piece
        if child.wait() != 0:
            errors.seek(0)
            raise failure(program, child.returncode, errors.read())


def _widen(pipe: IO[bytes]) -> None:
    """Have a pipe hold more than 64 KiB, so that who writes and who reads seldom wait (Linux)."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        try:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK)
        except OSError:
            return  # the system's limit is lower, or used up: pipe(7)


def _pattern(table: str) -> str:
    quoted = table.replace('"', '""')
    return f'"public"."{quoted}"'
