"""libpq's service file: connections by name, so that no command line has a password.

https://www.postgresql.org/docs/current/libpq-pgservice.html
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from db.addresses import connection_options
from db.cluster.processes import write_private

NAME: Final = "pg_service.conf"


def write_service_file(path: Path, urls: Mapping[str, str]) -> None:
    """Write a file of services, which only this user may read."""
    write_private(path, "\n".join(_section(name, url) for name, url in urls.items()))


def service_variables(path: Path, service: str) -> list[str]:
    """Return the lines of a shell with which ``psql`` connects to a service by default."""
    return [
        f"export PGSERVICEFILE={shlex.quote(str(path.absolute()))}",
        f"export PGSERVICE={shlex.quote(service)}",
    ]


def _section(name: str, url: str) -> str:
    lines = [f"{option}={value}" for option, value in connection_options(url).items()]
    return "\n".join([f"[{name}]", *lines, ""])
