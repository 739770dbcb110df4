"""Where a standby is made: a free folder and port, and the files that a copy lacks."""

import socket
from pathlib import Path
from typing import Final

from db.cluster.processes import Rights, write_private
from db.cluster.unprivileged import give
from db.errors import OperationError
from db.replication.primary import Primary
from db.replication.servers import Address

HBA: Final = "pg_hba.conf"
# Debian keeps these elsewhere, so that a copy of the data directory is without them; a server
# does not start then. Who has a password may come in.
_FILES: Final = {
    "postgresql.conf": "# The settings are in postgresql.auto.conf.\n",
    "pg_ident.conf": "# No user names are mapped.\n",
    HBA: "host all all all scram-sha-256\nhost replication all all scram-sha-256\n",
}


def check_folder(path: Path) -> None:
    """See that a folder can be made at ``path``.

    Raises
    ------
    OperationError
        ``exists`` or ``folder_missing``.
    """
    if path.exists() or path.is_symlink():
        raise OperationError(
            "exists",
            f"{path} exists already",
            "name a folder that does not, or remove it if nothing uses it",
        )
    if not path.parent.is_dir():
        raise OperationError(
            "folder_missing",
            f"{path.parent} is no folder",
            "make it, on a disk with room for the whole database",
        )


def check_port(listen: Address) -> None:
    """See that nothing listens there yet.

    Raises
    ------
    OperationError
        ``port_taken``.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    host = "" if listen.host == "*" else listen.host
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As PostgreSQL does: connections of an earlier server that linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, listen.port))
        except OSError as error:
            raise OperationError(
                "port_taken",
                f"the standby could not listen on {listen}: {error.strerror}",
                "choose another --host or --port",
            ) from None


def complete(
    data: Path, primary: Primary, listen: Address, conninfo: str, rights: Rights
) -> set[str]:
    """Write the settings and files that a copy of the primary's data directory lacks.

    Returns
    -------
    set
        Names of the files that were missing.
    """
    missing = {name for name in _FILES if not (data / name).exists()}
    for name in missing:
        write_private(data / name, _FILES[name])
        give(data / name, rights)
    settings = {
        **primary.carried,
        "listen_addresses": listen.host,
        "port": str(listen.port),
        "unix_socket_directories": "",
        # Instead of the copy's own connection, which had no standby's name: with that name it
        # could have passed for a synchronous standby before it was one.
        "primary_conninfo": conninfo,
    }
    with (data / "postgresql.auto.conf").open("a") as file:
        # The last of several lines for one setting counts.
        file.writelines(f"{name} = {_quoted(value)}\n" for name, value in settings.items())
    return missing


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
