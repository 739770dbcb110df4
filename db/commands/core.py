"""How a program of PostgreSQL is called: where to connect to, as whom, and what went wrong.

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
from typing import IO, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy.exc import DBAPIError

from db.cluster.processes import Rights, launched
from db.cluster.programs import Programs
from db.errors import OperationError
from db.session import connection_options

SHOWN_LINES: Final = 10
# What no second try mends; a server that is away may come back.
_LASTING: Final = {"password_refused", "permission_denied"}
# What libpq and the programs say, in the C locale, and what it means for an operator.
CAUSES: Final = (
    (
        "password authentication failed",
        "password_refused",
        "check user and password in DATABASE_URL or TEMPLATE_SERVICE_MAINTENANCE_DATABASE_URL",
    ),
    (
        "no password supplied",
        "password_refused",
        "put the password into the URL: postgresql://user:password@host:port/database",
    ),
    (
        "aborting because of server version mismatch",
        "client_too_old",
        "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to programs that are as new as the server",
    ),
    ("No space left on device", "disk_full", "free some space and start it again"),
    (
        "SSL support is not compiled in",
        "no_tls",
        "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to programs with TLS, such as the system's",
    ),
    (
        "SSL error",
        "server_not_trusted",
        "name its authority's certificate: DATABASE_URL=…?sslmode=verify-full&sslrootcert=FILE",
    ),
    (
        "does not match host name",
        "server_not_trusted",
        "name the host in DATABASE_URL as in the server's certificate",
    ),
    (
        "no pg_hba.conf entry",
        "connection_refused",
        "allow it in pg_hba.conf, or ask for TLS in DATABASE_URL: ?sslmode=verify-full",
    ),
    ("could not translate host name", "server_away", "check the host in DATABASE_URL"),
    ("connection to server", "server_away", "check that PostgreSQL runs and DATABASE_URL is right"),
    ("server closed the connection", "server_away", "start it again when PostgreSQL is back"),
    ("permission denied", "permission_denied", "use a role that may do this: db roles apply"),
)


@dataclass(frozen=True, slots=True)
class Client:
    """Programs and the database that they connect to.

    Attributes
    ----------
    programs
        Of PostgreSQL.
    url
        ``postgresql://user:password@host:port/database``.
    rights
        As which user the programs run.
    options
        Settings of the server for these connections alone, such as ``{"work_mem": "64MB"}``.
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
        """Run a program to its end; return what it printed, if that is not sent elsewhere.

        Raises
        ------
        OperationError
            It ended with another status than 0; the kind is one of :data:`CAUSES`, else the
            program's name with ``_failed``.
        """
        with self.start(program, arguments, stdin=stdin, stdout=stdout) as child:
            output, errors = child.communicate()
        if child.returncode != 0:
            raise failure(program, child.returncode, errors)
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

        Whoever reads its output has to look at its exit status; :func:`failure` explains it.
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

    Variables of libpq that the caller's shell has set are for other servers and left out, but for
    the caller's own passfile when the URL has no password. The passfile lives as long as the block.
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
        password = given["password"][1].replace("\\", r"\\").replace(":", r"\:")
        passfile.write_text(f"*:*:*:*:{password}\n")
        if rights is not None and rights.user is not None and rights.group is not None:
            os.chown(folder, rights.user, rights.group)
            os.chown(passfile, rights.user, rights.group)
        yield environment | {"PGPASSFILE": str(passfile)}


@contextmanager
def explained() -> Iterator[None]:
    """Turn errors of PostgreSQL that no second try mends into what an operator can act on."""
    try:
        yield
    except (psycopg.Error, DBAPIError) as error:
        told = str(error.orig if isinstance(error, DBAPIError) else error)
        for words, kind, remedy in CAUSES:
            if words in told:
                if kind in _LASTING:
                    raise OperationError(kind, told.splitlines()[0], remedy) from None
                break
        raise


def failure(program: str, status: int, errors: bytes) -> OperationError:
    """Return the error for a program that ended with ``status`` and these words.

    The words of PostgreSQL's programs name files, hosts, users and databases. A line about a
    row's contents (``CONTEXT``, ``DETAIL``) is left out: that may be personal data.
    """
    text = errors.decode(errors="replace")
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not line.lstrip().startswith(("CONTEXT:", "DETAIL:", "COPY "))
    ]
    told = " / ".join(line.strip() for line in lines[-SHOWN_LINES:]) or "it printed nothing"
    ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    kind, remedy = f"{program}_failed", "mend what it names and start it again"
    for words, cause, cure in CAUSES:
        if words in text:
            kind, remedy = cause, cure
            break
    return OperationError(kind, f"{program} {ended}: {told}", remedy)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
