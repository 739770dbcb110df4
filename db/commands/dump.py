"""``pg_dump`` and ``pg_restore --list`` as typed calls.

https://www.postgresql.org/docs/current/app-pgdump.html
"""

import fcntl
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import suppress
from typing import IO, Final, Self

from db.cluster.children import start_program
from db.cluster.programs import Programs
from db.commands.core import Client
from db.errors import Kind, OperationError
from db.postgres_errors import program_error

# For a table that a migration alters; readers and writers do not conflict with a dump.
LOCK_WAIT: Final = "60s"
_CHUNK: Final = 1024 * 1024
_CONTENTS: Final = {
    "full": (),
    "schema": ("--schema-only",),
    "data": ("--data-only",),
}


def dump(
    client: Client, *, contents: str, table: str | None, form: str, snapshot: str
) -> Generator[bytes, None, None]:
    """Yield the output of ``pg_dump``.

    Raises OperationError: see :meth:`db.commands.core.Client.run`. It is raised after the last
    bytes: the caller must read to the end.

    Parameters
    ----------
    contents
        ``full``, ``schema``, ``data``, or ``table`` for one table.
    table
        Its name in schema ``public``.
    form
        ``custom``, uncompressed, or ``plain``.
    snapshot
        Result of ``pg_export_snapshot()``: the database state to dump.
    """
    selection = _CONTENTS[contents] if table is None else (f"--table={_pattern(table)}",)
    return _output(
        client,
        "pg_dump",
        [
            f"--format={form}",
            # Compressed here, on several cores; the programs of the wheel support gzip only.
            "--compress=0",
            "--encoding=UTF8",
            "--no-password",
            f"--lock-wait-timeout={LOCK_WAIT}",
            f"--snapshot={snapshot}",
            *selection,
        ],
    )


class Listing:
    """``pg_restore --list`` of an archive that is written in chunks.

    It reads the table of contents at the beginning and then ends.
    """

    def __init__(self, programs: Programs) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._child = start_program(
            [programs.path("pg_restore"), "--list"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )
        self._reads = True

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the program."""
        self._child.kill()
        self._close()
        self._child.wait()
        self._errors.close()

    def write(self, chunk: bytes) -> None:
        """Write the next chunk."""
        if self._reads and self._child.stdin is not None:
            rest = memoryview(chunk)
            try:
                while rest:
                    rest = rest[self._child.stdin.write(rest) :]
            except BrokenPipeError:
                self._reads = False

    def finish(self) -> None:
        """End the input.

        Raises OperationError: ``archive_unreadable``: these programs cannot read the archive.
        """
        self._close()
        if (status := self._child.wait()) != 0:
            self._errors.seek(0)
            raise OperationError(
                Kind.ARCHIVE_UNREADABLE,
                program_error("pg_restore --list", status, self._errors.read()).message,
                "use another backup, or programs at least as new as the backup's",
            )

    def _close(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()


def _output(client: Client, program: str, arguments: list[str]) -> Generator[bytes, None, None]:
    # Errors go to a file: a second pipe would not be read meanwhile.
    with (
        tempfile.TemporaryFile() as errors,
        client.start(program, arguments, stderr=errors) as child,
    ):
        output = child.stdout
        if output is None:
            raise RuntimeError("stdout is a pipe")
        _widen(output)
        while chunk := output.read1(_CHUNK):  # type: ignore[attr-defined]  # a BufferedReader
            yield chunk
        if child.wait() != 0:
            errors.seek(0)
            raise program_error(program, child.returncode, errors.read())


def _widen(pipe: IO[bytes]) -> None:
    """Enlarge a pipe of 64 KiB, so that its writer and its reader seldom wait."""
    with suppress(OSError):  # the system's limit is lower, or used up: pipe(7)
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _CHUNK)


def _pattern(table: str) -> str:
    quoted = table.replace('"', '""')
    return f'"public"."{quoted}"'
