"""The directory and the port of a new standby, and the files that a copy of the primary lacks."""

import socket
from pathlib import Path
from typing import Final

from db.cluster.children import Rights
from db.cluster.processes import write_private
from db.cluster.unprivileged import give
from db.errors import OperationError
from db.replication.primary import Primary
from db.replication.servers import Address

HBA: Final = "pg_hba.conf"
# Debian keeps these outside the data directory, so that a copy lacks them; a server does not start
# then. This pg_hba.conf lets in every role with a password.
_FILES: Final = {
    "postgresql.conf": "# The settings are in postgresql.auto.conf.\n",
    "pg_ident.conf": "# No user names are mapped.\n",
    HBA: "host all all all scram-sha-256\nhost replication all all scram-sha-256\n",
}


def check_directory(path: Path) -> None:
    """Check that a directory can be created at ``path``.

    Raises OperationError: ``exists`` or ``directory_missing``.
    """
    if path.exists() or path.is_symlink():
        raise OperationError(
            "exists",
            f"{path} already exists",
            "pass a new directory, or remove this one if it is unused",
        )
    if not path.parent.is_dir():
        raise OperationError(
            "directory_missing",
            f"{path.parent} is not a directory",
            "create it, on a disk with space for the whole database",
        )


def check_port(listen: Address) -> None:
    """Check that no server listens there yet (raises ``port_taken``)."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    host = "" if listen.host == "*" else listen.host
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As PostgreSQL does: lingering connections of an earlier server do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, listen.port))
        except OSError as error:
            raise OperationError(
                "port_taken",
                f"the standby cannot listen on {listen}: {error.strerror}",
                "choose another --host or --port",
            ) from None


def complete(
    data: Path, primary: Primary, listen: Address, conninfo: str, rights: Rights
) -> set[str]:
    """Write the settings and files that a copy of the primary lacks; return the files' names."""
    missing = {name for name in _FILES if not (data / name).exists()}
    for name in missing:
        write_private(data / name, _FILES[name])
        give(data / name, rights)
    settings = {
        **primary.carried,
        "listen_addresses": listen.host,
        "port": str(listen.port),
        "unix_socket_directories": "",
        # pg_basebackup connected without the standby's name: with it, the unfinished copy could
        # have counted as a synchronous standby.
        "primary_conninfo": conninfo,
    }
    with (data / "postgresql.auto.conf").open("a") as file:
        # The last line for a setting wins.

        file.writelines(f"{name} = {_quoted(value)}\n" for name, value in settings.items())
    return missing


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
