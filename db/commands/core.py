"""Calls of PostgreSQL's client programs: connection, password and errors.

The connection goes through libpq's environment variables, the password through a passfile without
a name (https://www.postgresql.org/docs/current/libpq-pgpass.html): everyone on the machine can read
a command line.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from psycopg import pq
from psycopg.conninfo import make_conninfo

from db.addresses import connection_options
from db.cluster.children import Rights, client_environment, start_program
from db.cluster.programs import Programs
from db.cluster.unnamed import UnnamedFile
from db.postgres_errors import program_error


@dataclass(frozen=True, slots=True)
class Client:
    """PostgreSQL's programs and the database that they connect to.

    Attributes
    ----------
    programs
        PostgreSQL's programs.
    url
        ``postgresql://user:password@host:port/database``.
    rights
        Rights of the programs.
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
        death_signal: int | None = None,
    ) -> bytes:
        """Run a program to its end; return its output, if that is not sent elsewhere.

        Raises OperationError: see :func:`db.postgres_errors.program_error`.
        """
        with self.start(
            program, arguments, stdin=stdin, stdout=stdout, death_signal=death_signal
        ) as child:
            output, errors = child.communicate()
        if child.returncode != 0:
            raise program_error(program, child.returncode, errors)
        return output or b""

    @contextmanager
    def start(  # noqa: PLR0913 - options by name
        self,
        program: str,
        arguments: Sequence[str],
        *,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        stdout: IO[bytes] | int = subprocess.PIPE,
        stderr: IO[bytes] | int = subprocess.PIPE,
        files: Sequence[int] = (),
        death_signal: int | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program and yield its process, which does not outlive the block.

        The caller checks its exit status; see :func:`db.postgres_errors.program_error`.

        Parameters
        ----------
        files
            Descriptors that it inherits: see :class:`db.cluster.unnamed.UnnamedFile`.
        death_signal
            What ends it when this process is killed; a program that writes to a pipe ends anyway.
        """
        command = [self.programs.path(program), *arguments]
        with connection_environment(self.url, self.rights, self.options) as (variables, passfile):
            child = start_program(
                command,
                self.rights,
                variables,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                files=[*passfile, *files],
                death_signal=death_signal,
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
) -> Iterator[tuple[dict[str, str], list[int]]]:
    """Yield the environment in which a program of PostgreSQL connects to ``url``.

    The second value has the descriptor of the passfile, which the program must inherit. libpq's
    variables in the caller's shell are for other servers and are not used, except for the caller's
    own passfile when the URL has no password.
    """
    rights = rights or Rights()
    given = {
        option.keyword.decode(): (option.envvar, option.val.decode())
        for option in pq.Conninfo.parse(make_conninfo("", **connection_options(url)).encode())
        if option.val is not None
    }
    variables = {"PGAPPNAME": "template-service", "PGCONNECT_TIMEOUT": "10"}
    variables |= {
        envvar.decode(): value
        for keyword, (envvar, value) in given.items()
        if envvar is not None and keyword not in {"password", "options"}
    }
    settings = [given["options"][1]] if "options" in given else []
    settings += [f"-c {name}={_escaped(value)}" for name, value in (options or {}).items()]
    if settings:
        variables["PGOPTIONS"] = " ".join(settings)
    if "password" not in given:
        if (passfile := os.environ.get("PGPASSFILE")) is not None:
            variables.setdefault("PGPASSFILE", passfile)
        yield client_environment(rights, **variables), []
        return
    with UnnamedFile.in_memory(rights) as file:
        file.write(passfile_line(given["password"][1]).encode())
        variables["PGPASSFILE"] = str(file.path)
        yield client_environment(rights, **variables), [file.descriptor]


def passfile_line(password: str) -> str:
    """Return the line of a passfile with the password for every server."""
    escaped = password.replace("\\", r"\\").replace(":", r"\:")
    return f"*:*:*:*:{escaped}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
