"""A standby on this machine: started and stopped by pg_ctl, so that it outlives the command."""

import os
import subprocess
from pathlib import Path
from typing import Final

from db.cluster.private import PrivateCluster
from db.cluster.processes import Rights, launched
from db.cluster.programs import Programs
from db.cluster.unprivileged import give
from db.errors import OperationError

START_SECONDS: Final = 60
STOP_SECONDS: Final = 60
_SHOWN_LINES: Final = 5
_NOT_RUNNING: Final = 3  # pg_ctl status: the Linux Standard Base's number


def rights_on(programs: Programs, directory: Path) -> Rights:
    """Return as whom a server on ``directory`` runs: never as root.

    Raises
    ------
    OperationError
        ``not_reachable``: that user could not reach the folder.
    """
    return PrivateCluster(programs, directory).rights


def log_of(directory: Path) -> Path:
    """Return the log file of the server, which lies beside its data."""
    return directory.with_name(f"{directory.name}.log")


def start(programs: Programs, directory: Path) -> None:
    """Start the server on a data directory; return when it answers. It may run already.

    Raises
    ------
    OperationError
        ``no_data``, or ``server_failed`` with the end of its log.
    """
    directory = directory.absolute()
    rights = _rights_on_data(programs, directory)
    if _runs(programs, directory, rights):
        return
    log = log_of(directory)
    log.touch(0o600)
    give(log, rights)
    before = log.stat().st_size
    arguments = ["start", "-D", str(directory), "-l", str(log), "-w", "-t", str(START_SECONDS)]
    if _pg_ctl(programs, rights, [*arguments, "-s"]) != 0:
        with log.open("rb") as file:
            file.seek(before)
            lines = file.read().decode(errors="replace").splitlines()
        told = " / ".join(lines[-_SHOWN_LINES:]) or "it logged nothing"
        raise OperationError(
            "server_failed",
            f"PostgreSQL on {directory} did not start: {told}",
            f"mend what it names ({log} has more), then: "
            f"template-service replica start {directory}",
        )


def stop(programs: Programs, directory: Path) -> bool:
    """Stop the server on a data directory; tell whether it ran.

    Raises
    ------
    OperationError
        ``no_data``, or ``server_failed``: it does not end.
    """
    directory = directory.absolute()
    rights = _rights_on_data(programs, directory)
    if not _runs(programs, directory, rights):
        return False
    arguments = ["stop", "-D", str(directory), "-m", "fast", "-w", "-t", str(STOP_SECONDS), "-s"]
    if _pg_ctl(programs, rights, arguments) != 0:
        raise OperationError(
            "server_failed",
            f"PostgreSQL on {directory} did not stop within {STOP_SECONDS} s",
            f"look at {log_of(directory)}",
        )
    return True


def _rights_on_data(programs: Programs, directory: Path) -> Rights:
    if not (directory / "PG_VERSION").exists():
        raise OperationError(
            "no_data",
            f"{directory} is no data directory of PostgreSQL",
            "name the folder that replica create made",
        )
    return rights_on(programs, directory)


def _runs(programs: Programs, directory: Path, rights: Rights) -> bool:
    return _pg_ctl(programs, rights, ["status", "-D", str(directory)]) != _NOT_RUNNING


def _pg_ctl(programs: Programs, rights: Rights, arguments: list[str]) -> int:
    return subprocess.run(  # noqa: S603 - a program of PostgreSQL with arguments of ours
        launched([programs.path("pg_ctl"), *arguments], rights),
        stdin=subprocess.DEVNULL,
        # Not a pipe: the server that it starts would hold that open.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Nothing of the caller's PG* variables or locale is meant for this server.
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        cwd="/",
        start_new_session=True,
        umask=0o077,
        check=False,
    ).returncode
