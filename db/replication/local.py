"""Start and stop a standby on this machine with ``pg_ctl``; it outlives this process."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from db.cluster.children import Rights
from db.cluster.programs import Programs
from db.cluster.unprivileged import give, server_rights
from db.errors import Kind, OperationError
from db.recovery.commands import needs_python, runs_python
from db.recovery.policy import RecoveryPolicy

START_SECONDS: Final = 60
STOP_SECONDS: Final = 60
_SHOWN_LINES: Final = 5
_NOT_RUNNING: Final = 3  # pg_ctl status: the Linux Standard Base's number


def rights_on(
    programs: Programs, directory: Path, recovery: RecoveryPolicy | None = None
) -> Rights:
    """Return the rights of a server on ``directory``: never root's.

    It can run this Python if its ``restore_command`` does.

    Parameters
    ----------
    recovery
        The policy of a server whose settings are not written yet.
    """
    is_needed = runs_python(directory) if recovery is None else needs_python(recovery)
    python = [Path(sys.executable).resolve()] if is_needed else []
    return server_rights(Path(programs.path("postgres")), directory, *python)


def log_of(directory: Path) -> Path:
    """Return the log file of the server, which is next to its data directory."""
    return directory.with_name(f"{directory.name}.log")


def start(programs: Programs, directory: Path) -> None:
    """Start the server on a data directory unless it runs; return when it answers.

    Raises OperationError: ``no_data``; ``server_failed`` with the end of its log;
    ``not_reachable``.
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
    if _pg_ctl(programs, rights, *arguments, "-s") != 0:
        with log.open("rb") as file:
            file.seek(before)
            lines = file.read().decode(errors="replace").splitlines()
        reported = " / ".join(lines[-_SHOWN_LINES:]) or "no log output"
        raise OperationError(
            Kind.SERVER_FAILED,
            f"PostgreSQL on {directory} did not start: {reported}",
            f"fix the reported error ({log} has more), then: "
            f"template-service replica start {shlex.quote(str(directory))}",
        )


def stop(programs: Programs, directory: Path) -> bool:
    """Stop the server on a data directory; return whether it ran.

    Raises OperationError: ``no_data``, or ``server_failed``: it does not end.
    """
    directory = directory.absolute()
    rights = _rights_on_data(programs, directory)
    if not _runs(programs, directory, rights):
        return False
    arguments = ["stop", "-D", str(directory), "-m", "fast", "-w", "-t", str(STOP_SECONDS), "-s"]
    if _pg_ctl(programs, rights, *arguments) != 0:
        raise OperationError(
            Kind.SERVER_FAILED,
            f"PostgreSQL on {directory} did not stop within {STOP_SECONDS} s",
            f"see {log_of(directory)}",
        )
    return True


def _rights_on_data(programs: Programs, directory: Path) -> Rights:
    if not (directory / "PG_VERSION").exists():
        raise OperationError(
            Kind.NO_DATA,
            f"{directory} is not a data directory of PostgreSQL",
            "pass a directory that template-service replica create has created",
        )
    return rights_on(programs, directory)


def _runs(programs: Programs, directory: Path, rights: Rights) -> bool:
    return _pg_ctl(programs, rights, "status", "-D", str(directory)) != _NOT_RUNNING


def _pg_ctl(programs: Programs, rights: Rights, *arguments: str) -> int:
    return programs.run("pg_ctl", arguments, rights=rights, output=subprocess.DEVNULL).returncode
