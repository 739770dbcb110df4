"""Child programs: the one way to start them, with their rights and environment.

No child inherits the environment of this process, which has passwords in ``DATABASE_URL``,
``CELERY_BROKER_URL`` and the ``AWS_*`` variables: another process of the same user reads them from
``/proc/PID/environ``.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

LAUNCHER: Final = Path(__file__).with_name("launch.py")
# Messages are matched in English. pg_waldump shows times in the zone of its process.
ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
)
"""Environment of programs that connect to no server."""
_INHERITED: Final = (
    "PATH",
    # libpq's certificates and passfile (https://www.postgresql.org/docs/current/libpq-ssl.html).
    "HOME",
    # The paths of TLS's and Kerberos' configuration, as this process uses them.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "KRB5_CONFIG",
    "KRB5CCNAME",
)


@dataclass(frozen=True, slots=True)
class Rights:
    """User, group and capability of a program; all ``None`` means the same as this process.

    Attributes
    ----------
    user, group
        Numeric ids to change to.
    capability
        Number of the one Linux capability to keep beyond that user's rights.
    """

    user: int | None = None
    group: int | None = None
    capability: int | None = None

    def options(self) -> list[str]:
        """Return these rights as options of launch.py."""
        options = []
        if self.user is not None:
            options += ["--user", str(self.user), str(self.group)]
        if self.capability is not None:
            options += ["--capability", str(self.capability)]
        return options


def start_program(  # noqa: PLR0913 - options by name
    command: Sequence[str],
    rights: Rights | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
    stderr: IO[bytes] | int = subprocess.PIPE,
    files: Sequence[int] = (),
    directory: Path = Path("/"),
    is_leader: bool = False,
    death_signal: int | None = None,
    reach: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program: the only function of ``db`` and ``worker`` that does.

    Parameters
    ----------
    command
        Absolute path of the program, then its arguments.
    environment
        Its whole environment: :data:`ENVIRONMENT`, :func:`client_environment`, or the environment
        of the service's own processes.
    files
        Descriptors that it inherits under the same numbers.
    is_leader
        Whether it leads a session and a process group, and creates files for its user only.
    death_signal, reach
        See launch.py.
    """
    return subprocess.Popen(  # noqa: S603 - PostgreSQL's, Valkey's and this checkout's programs
        _launched(command, rights or Rights(), death_signal, reach),
        env=dict(environment),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=files,
        cwd=directory,
        # Pipes are read and written in large chunks.
        bufsize=0 if stdin == subprocess.PIPE else -1,
        start_new_session=is_leader,
        umask=0o077 if is_leader else -1,
    )


def run_program(  # noqa: PLR0913 - options by name
    command: Sequence[str],
    rights: Rights | None = None,
    *,
    output: int = subprocess.PIPE,
    files: Sequence[int] = (),
    directory: Path = Path("/"),
    timeout: float | None = None,
    reach: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that connects to no server to its end; the caller checks its status.

    Raises subprocess.TimeoutExpired: it was killed after ``timeout`` seconds.
    """
    with start_program(
        command,
        rights,
        stdout=output,
        stderr=output,
        files=files,
        directory=directory,
        is_leader=True,
        reach=reach,
    ) as child:
        try:
            printed, errors = child.communicate(timeout=timeout)
        except BaseException:
            child.kill()
            raise
    return subprocess.CompletedProcess(command, child.returncode, printed, errors)


def client_environment(rights: Rights, **variables: str) -> dict[str, str]:
    """Return the environment of a program that connects to a server.

    Parameters
    ----------
    rights
        Rights of the program. With another user it gets another home directory.
    variables
        libpq's, of the connection.
    """
    inherited = {
        name: value
        for name in _INHERITED
        if (value := os.environ.get(name)) is not None
        and (rights.user is None or name not in {"HOME", "KRB5CCNAME"})
    }
    return {**ENVIRONMENT, **inherited, **variables}


def _launched(
    command: Sequence[str], rights: Rights, death_signal: int | None, reach: Path | None
) -> list[str]:
    """Return the command line that runs ``command`` with ``rights``; see launch.py."""
    options = rights.options()
    if reach is not None:
        options += ["--reach", str(reach)]
    if death_signal is not None:
        options += ["--die-with", str(os.getpid()), str(int(death_signal))]
    if not options:
        return list(command)
    return [sys.executable, "-I", "-S", str(LAUNCHER), *options, "--", *command]
