"""A PostgreSQL that no other user can reach, for as long as this process needs it."""

import os
import signal
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from db.cluster.children import Rights
from db.cluster.owned import OwnedDirectory
from db.cluster.postgres import initdb, server_command, wait_ready
from db.cluster.processes import Process
from db.cluster.programs import Programs
from db.cluster.unprivileged import give, server_rights, user_for
from db.errors import Kind, OperationError

SUPERUSER: Final = "scratch"
START_TIMEOUT: Final = 60.0
PORT: Final = 5432  # of the socket's name; others use the same in their own directories
_HBA: Final = "local all all trust\n"


class PrivateCluster:
    """PostgreSQL on a data directory, on a Unix socket in a directory that only its user may enter.

    It asks for no password, since who reaches the socket owns the data, and it has no port. Started
    by root it runs as an unprivileged user, who then owns the data: see
    :mod:`db.cluster.unprivileged`. The kernel ends it when the thread that starts it ends.

    Parameters
    ----------
    programs
        PostgreSQL's programs, of the same major version as the data.
    data
        The data directory. It need not exist if :meth:`initialise` is called.
    settings
        Override the data directory's settings, such as ``{"archive_command": ""}``.
    start_timeout
        Seconds until it must accept connections; recovery from an archive may need long.
    reads
        Other files and directories that it has to read.
    is_sandbox
        For unverified data: without the capability to read the files of all users. The server
        reaches its data through an open directory (proc(5), ``/proc/self/fd``), so the directories
        above need no permission.
    """

    def __init__(  # noqa: PLR0913 - options by name
        self,
        programs: Programs,
        data: Path,
        *,
        settings: Mapping[str, str] | None = None,
        start_timeout: float = START_TIMEOUT,
        reads: Sequence[Path] = (),
        is_sandbox: bool = False,
    ) -> None:
        self.data = data.absolute()
        self._programs = programs
        self._settings = dict(settings or {})
        self._start_timeout = start_timeout
        self._reads = reads
        self._is_sandbox = is_sandbox
        self._parent: int | None = None
        self._run: OwnedDirectory | None = None
        self._process: Process | None = None
        self._last_log = ""

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    @cached_property
    def rights(self) -> Rights:
        """Rights of the server, whose user owns the data."""
        if self._is_sandbox:
            return user_for(self.data.parent)
        return server_rights(Path(self._programs.path("postgres")), self.data, *self._reads)

    def initialise(self) -> None:
        """Create the data directory, with :data:`SUPERUSER` as its superuser.

        Raises OperationError: see :func:`db.cluster.postgres.initdb`.
        """
        self.data.mkdir(mode=0o700, parents=True)
        give(self.data, self.rights)
        options = ("--auth=trust", "--no-sync", f"--username={SUPERUSER}")
        try:
            data, files = self._seen()
            initdb(self._programs, data, self.rights, *options, files=files)
        except BaseException:
            self.stop()
            raise

    def start(self) -> None:
        """Start the server; return when it accepts connections (in recovery, at its end).

        Raises OperationError: see :func:`db.cluster.postgres.wait_ready`.
        """
        self._run = OwnedDirectory("server")
        folder = self._run.path
        try:
            (folder / "pg_hba.conf").write_text(_HBA)
            for path in (folder, folder / "pg_hba.conf"):
                give(path, self.rights)
            self._process = self._build(folder)
            self._process.start()
            wait_ready(self.data, self._process, self._start_timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and wait until it is gone; the data stay. Safe to call again."""
        if self._process is not None:
            self._process.stop()
            self._last_log = self._process.output()
            self._process = None
        if self._run is not None:
            self._run.remove()
            self._run = None
        if self._parent is not None:
            os.close(self._parent)
            self._parent = None

    def url(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """Return the URL of one of its databases."""
        if self._run is None:
            raise OperationError(
                Kind.SERVER_FAILED, "the private server is not running", "run the command again"
            )
        # All that a connection needs: libpq takes the rest from the caller's PG* variables.
        port = self._settings.get("port", PORT)
        host = quote(str(self._run.path), safe="")
        return f"postgresql://{quote(user)}@/{quote(database)}?host={host}&port={port}"

    def log(self) -> str:
        """Return its log since its start, also when it has ended."""
        return self._last_log if self._process is None else self._process.output()

    def _seen(self) -> tuple[Path, list[int]]:
        """Return the data directory as the server sees it, and the descriptors for that."""
        if not self._is_sandbox:
            return self.data, []
        if self._parent is None:
            self._parent = os.open(self.data.parent, os.O_PATH | os.O_DIRECTORY)
        return Path(f"/proc/self/fd/{self._parent}") / self.data.name, [self._parent]

    def _build(self, run: Path) -> Process:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(run),
            "port": str(PORT),
            "hba_file": str(run / "pg_hba.conf"),
            "lc_messages": "C",
            "logging_collector": "off",
            "log_destination": "stderr",
            **self._settings,
        }
        data, files = self._seen()
        return Process(
            "PostgreSQL",
            server_command(self._programs, data, settings),
            log=run / "log",
            record=run / "process",
            rights=self.rights,
            files=files,
            stop_signal=signal.SIGINT,  # "fast" shutdown
            death_signal=signal.SIGQUIT,  # "immediate": no child stays behind
        )
