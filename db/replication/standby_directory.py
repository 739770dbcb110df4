"""The directory and the port of a new standby, and the files that a copy of the primary lacks."""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from db.cluster.children import Rights
from db.cluster.processes import write_private
from db.cluster.programs import Programs
from db.cluster.unprivileged import give, reaches
from db.commands.physical import capacities
from db.errors import Kind, OperationError
from db.recovery.commands import command_reads, restore_command
from db.recovery.policy import RecoveryPolicy
from db.recovery.setup import SYSTEM
from db.recovery.target import Target
from db.replication.primary import Primary
from db.replication.servers import Address

HBA: Final = "pg_hba.conf"
_SHELL: Final = re.compile(r'["$`\\\n]')
# Debian keeps these outside the data directory, so that a copy lacks them; a server does not start
# then. This pg_hba.conf lets in every role with a password.
_FILES: Final = {
    "postgresql.conf": "# The settings are in postgresql.auto.conf.\n",
    "pg_ident.conf": "# No user names are mapped.\n",
    HBA: "host all all all scram-sha-256\nhost replication all all scram-sha-256\n",
}

# A primary ignores most of these, and may have them from a recovery or from its time as a standby.
# The copy would apply them: it would end its recovery at the target, and be another primary.
_NOT_INHERITED: Final = {
    **Target().settings(),
    "recovery_target_timeline": "latest",
    "recovery_end_command": "",
    "recovery_min_apply_delay": "0",
    "archive_cleanup_command": "",
    "hot_standby": "on",
    "external_pid_file": "",
}


def check_directory(path: Path) -> None:
    """Check that a directory can be created at ``path``.

    Raises OperationError: ``bad_name``, ``exists`` or ``directory_missing``.
    """
    if _SHELL.search(str(path)):
        raise OperationError(
            Kind.BAD_NAME,
            f"the path {str(path)!r} has a character that a shell would interpret",
            'pass a directory without ", $, `, \\ and line breaks: pg_ctl and pg_verifybackup run '
            "their programs through a shell",
        )
    if path.exists() or path.is_symlink():
        raise OperationError(
            Kind.EXISTS,
            f"{path} already exists",
            "pass a new directory, or remove this one if it is unused",
        )
    if not path.parent.is_dir():
        raise OperationError(
            Kind.DIRECTORY_MISSING,
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


def archive_settings(
    policy: RecoveryPolicy, primary: Primary, rights: Rights
) -> tuple[dict[str, str], list[str]]:
    """Return the settings with which a standby reads the WAL archive, and warnings.

    Without them a standby that was away until the primary removed WAL must be created again.
    """
    wal, mark = policy.storage.wal, policy.storage.root / SYSTEM
    remedy = (
        f"mount the archive of the primary there, and set restore_command = "
        f"{_quoted(restore_command(policy))}"
    )
    if not wal.is_dir():
        warning = f"the WAL archive {wal} does not exist on this machine: {remedy}"
        return {}, [warning] if primary.archives else []
    system = mark.read_text(errors="replace").strip() if mark.is_file() else primary.system
    if system != primary.system:
        return {}, [f"the WAL archive {wal} is of cluster {system}, not of this one: {remedy}"]
    for path in command_reads(policy):
        verb, needed = ("enter", os.X_OK) if path.is_dir() else ("read", os.R_OK)
        own = os.access(path, needed)
        if not (rights.capability or reaches(rights, path) if rights.user else own):
            return {}, [f"user {rights.user} of the standby may not {verb} {path}: {remedy}"]
    return {"restore_command": restore_command(policy)}, []


def complete(  # noqa: PLR0913, PLR0917 - one step of create
    programs: Programs,
    data: Path,
    primary: Primary,
    listen: Address,
    own: Mapping[str, str],
    rights: Rights,
) -> set[str]:
    """Write the settings and files that a copy of the primary lacks; return the files' names.

    Parameters
    ----------
    own
        Settings of this standby alone.
    """
    missing = {name for name in _FILES if not (data / name).exists()}
    for name in missing:
        write_private(data / name, _FILES[name])
        give(data / name, rights)
    settings = {
        **_NOT_INHERITED,
        **primary.carried,
        # The primary's files may have lower values already, for its next restart.
        **capacities(programs, data),
        **own,
        "listen_addresses": listen.host,
        "port": str(listen.port),
        "unix_socket_directories": "",
    }
    with (data / "postgresql.auto.conf").open("a") as file:
        # The last line for a setting wins.

        file.writelines(f"{name} = {_quoted(value)}\n" for name, value in settings.items())
    return missing


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
