"""A PostgreSQL that nobody else can reach, for as long as this process needs it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from db.cluster.processes import (
    LocalServerError,
    Process,
    Rights,
    launched,
    wait_until,
)
from db.cluster.programs import Programs
from db.cluster.unprivileged import give, user_for, with_reach
from db.errors import OperationError

SUPERUSER: Final = "scratch"
START_TIMEOUT: Final = 60.0
INIT_TIMEOUT: Final = 120.0
_READY_LINE: Final = 7  # of postmaster.pid, counted from 0
_INITDB: Final = (
    "--encoding=UTF8",
    "--locale=C",
    "--auth=trust",
    "--no-sync",
    "--no-instructions",
)
_HBA: Final = "local all all trust\n"


class PrivateCluster:
    """PostgreSQL on a data directory, on a Unix socket in a folder that only its user may enter.

    It asks for no password, since who reaches the socket owns the data, and it has no port. Started
    by root it runs as an unprivileged user, who then owns the data: see
    :mod:`db.cluster.unprivileged`. The kernel ends it when the thread that starts it ends.

    Parameters
    ----------
    programs
        Of the same major version as the data.
    data
        The data directory. It need not exist if :meth:`initialise` is called.
    settings
        Over those of the data directory, such as ``{"archive_command": ""}``.
    start_timeout
        Seconds until it must take connections; recovery from an archive may need long.
    """

    def __init__(
        self,
        programs: Programs,
        data: Path,
        *,
        settings: Mapping[str, str] | None = None,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self.data = data.absolute()
        self._programs = programs
        self._settings = dict(settings or {})
        self._start_timeout = start_timeout
        self._run: Path | None = None
        self._process: Process | None = None
        self._rights: Rights | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def rights(self) -> Rights:
        """As whom it runs, and whose the data are."""
        if self._rights is None:
            owned = self.data if self.data.exists() else self.data.parent
            rights = user_for(self.data)
            reached = with_reach(rights, Path(self._programs.path("postgres")), [owned])
            if reached is None:
                raise OperationError(
                    "not_reachable",
                    f"PostgreSQL does not run as root, and user {rights.user} cannot reach "
                    f"{owned} or PostgreSQL's programs",
                    "run this as an ordinary user, or choose a folder that everyone may search",
                )
            self._rights = reached
        return self._rights

    def initialise(self) -> None:
        """Make the data directory, with :data:`SUPERUSER` as its superuser.

        Raises
        ------
        OperationError
            ``initdb_failed``, or one of the kinds of :data:`db.commands.core.CAUSES`.
        """
        self.data.mkdir(mode=0o700, parents=True)
        give(self.data, self.rights)
        made = subprocess.run(  # noqa: S603 - a program of PostgreSQL
            launched(
                [
                    self._programs.path("initdb"),
                    *_INITDB,
                    f"--username={SUPERUSER}",
                    f"--pgdata={self.data}",
                ],
                self.rights,
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INIT_TIMEOUT,
            check=False,
            env=_environment(),
            cwd="/",
        )
        if made.returncode != 0:
            kind = "disk_full" if "No space left" in made.stderr else "initdb_failed"
            told = " / ".join(made.stderr.strip().splitlines()[-3:])
            raise OperationError(
                kind, f"initdb ended with status {made.returncode}: {told}", "mend what it names"
            )

    def start(self) -> None:
        """Start it and return when it takes connections, which in recovery is at its end.

        Raises
        ------
        OperationError
            ``server_failed``: it ended instead, with the end of its log.
        """
        self._run = Path(tempfile.mkdtemp(prefix="template-service-"))
        try:
            (self._run / "pg_hba.conf").write_text(_HBA)
            for path in (self._run, self._run / "pg_hba.conf"):
                give(path, self.rights)
            self._process = self._build(self._run)
            self._process.start()
            self._wait(self._process)
        except LocalServerError as error:
            self.stop()
            raise OperationError("server_failed", str(error), "mend what its log names") from None
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and wait until it is gone; the data stay. Safe to call again."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._run is not None:
            shutil.rmtree(self._run, ignore_errors=True)
            self._run = None

    def url(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """Return the address of one of its databases."""
        if self._run is None:
            raise OperationError("server_failed", "the private server does not run", "start it")
        return (
            f"postgresql://{quote(user)}@/{quote(database)}?host={quote(str(self._run), safe='')}"
        )

    def log(self) -> str:
        """Return what it logged since its start."""
        return "" if self._process is None else self._process.output()

    def _build(self, run: Path) -> Process:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(run),
            "hba_file": str(run / "pg_hba.conf"),
            "lc_messages": "C",
            "logging_collector": "off",
            "log_destination": "stderr",
            **self._settings,
        }
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        return Process(
            "PostgreSQL",
            [self._programs.path("postgres"), "-D", str(self.data), *options],
            log=run / "log",
            record=run / "process",
            environment=_environment(),
            rights=self.rights,
            stop_signal=signal.SIGINT,  # "fast" shutdown
            death_signal=signal.SIGQUIT,  # "immediate": no child stays behind
        )

    def _wait(self, process: Process) -> None:
        end = time.monotonic() + self._start_timeout
        wait_until(lambda: not process.running or self._ready(process), self._start_timeout)
        if not process.running:
            raise process.failure("ended instead of starting")
        if time.monotonic() >= end and not self._ready(process):
            raise process.failure(f"did not answer within {self._start_timeout:g} s")

    def _ready(self, process: Process) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        if len(lines) <= _READY_LINE:
            return False
        return lines[0] == str(process.pid) and lines[_READY_LINE].strip() == "ready"


def _environment() -> dict[str, str]:
    # Nothing of the caller's PG* variables or locale is meant for this server.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
