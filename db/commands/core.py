"""Calls of PostgreSQL's client programs: connection, password and errors.

The connection goes through libpq's environment variables, the password through a passfile that
only this user may read (https://www.postgresql.org/docs/current/libpq-pgpass.html): everyone on
the machine can read a command line.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from psycopg import pq
from psycopg.conninfo import make_conninfo

from db.addresses import connection_options
from db.cluster.processes import Rights, launched
from db.cluster.programs import Programs
from db.cluster.unprivileged import give
from db.postgres_errors import program_error


@dataclass(frozen=True, slots=True)
class Client:
    """PostgreSQL's programs and the database that they connect to.

    Attributes
    ----------
    programs
        Of PostgreSQL.
    url
        ``postgresql://user:password@host:port/database``.
    rights
        Of the programs.
    options
        Settings of the server for these connections only, such as ``{"work_mem": "64MB"}``.
    """

    programs: Programs
    url: str
    rights: Rights = field(default_factory=Rights)
    options: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        stdout: IO[bytes] | int = subprocess.PIPE,
    ) -> bytes:
        """Run a program to its end; return its output, if that is not sent elsewhere.

        Raises OperationError: see :func:`db.postgres_errors.program_error`.
        """
        with self.start(program, arguments, stdin=stdin, stdout=stdout) as child:
            output, errors = child.communicate()
        if child.returncode != 0:
            raise program_error(program, child.returncode, errors)
        return output or b""

    @contextmanager
    def start(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        stdout: IO[bytes] | int = subprocess.PIPE,
        stderr: IO[bytes] | int = subprocess.PIPE,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program and yield its process, which does not outlive the block.

        The caller checks its exit status; see :func:`db.postgres_errors.program_error`.
        """
        command = launched([self.programs.path(program), *arguments], self.rights)
        with connection_environment(self.url, self.rights, self.options) as environment:
            child = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL with arguments of ours
                command, env=environment, stdin=stdin, stdout=stdout, stderr=stderr, cwd="/"
            )
            try:
                yield child
            finally:
                if child.poll() is None:
                    child.kill()
                child.wait()
                for pipe in (child.stdin, child.stdout, child.stderr):
                    if pipe is not None:
                        pipe.close()


@contextmanager
def connection_environment(
    url: str, rights: Rights | None = None, options: Mapping[str, str] | None = None
) -> Iterator[dict[str, str]]:
    """Yield the environment in which a program of PostgreSQL connects to ``url``.

    libpq's variables in the caller's shell are for other servers and are removed, except for the
    caller's own passfile when the URL has no password. The passfile lives as long as the block.
    """
    given = {
        option.keyword.decode(): (option.envvar, option.val.decode())
        for option in pq.Conninfo.parse(make_conninfo("", **connection_options(url)).encode())
        if option.val is not None
    }
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PG") or (name == "PGPASSFILE" and "password" not in given)
    }
    environment |= {
        envvar.decode(): value
        for keyword, (envvar, value) in given.items()
        if envvar is not None and keyword not in {"password", "options"}
    }
    settings = [given["options"][1]] if "options" in given else []
    settings += [f"-c {name}={_escaped(value)}" for name, value in (options or {}).items()]
    environment |= {
        "LC_ALL": "C",
        "PGAPPNAME": environment.get("PGAPPNAME", "template-service"),
        "PGCONNECT_TIMEOUT": environment.get("PGCONNECT_TIMEOUT", "10"),
        **({"PGOPTIONS": " ".join(settings)} if settings else {}),
    }
    if "password" not in given:
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="template-service-") as folder:
        passfile = Path(folder) / "passfile"
        passfile.touch(0o600)
        passfile.write_text(passfile_line(given["password"][1]))
        for path in (Path(folder), passfile):
            give(path, rights or Rights())
        yield environment | {"PGPASSFILE": str(passfile)}


def passfile_line(password: str) -> str:
    """Return the line of a passfile with the password for every server."""
    escaped = password.replace("\\", r"\\").replace(":", r"\:")
    return f"*:*:*:*:{escaped}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
