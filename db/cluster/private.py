"""A PostgreSQL that no other user can reach, for as long as this process needs it."""

import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from db.cluster.postgres import initdb, server_command, wait_ready
from db.cluster.processes import Process, Rights
from db.cluster.programs import ENVIRONMENT, Programs
from db.cluster.unprivileged import give, server_rights
from db.errors import Kind, OperationError

SUPERUSER: Final = "scratch"
START_TIMEOUT: Final = 60.0
_HBA: Final = "local all all trust\n"


class PrivateCluster:
    """PostgreSQL on a data directory, on a Unix socket in a directory that only its user may enter.

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
        Seconds until it must accept connections; recovery from an archive may need long.
    reads
        Other files and directories that it has to read.
    """

    def __init__(
        self,
        programs: Programs,
        data: Path,
        *,
        settings: Mapping[str, str] | None = None,
        start_timeout: float = START_TIMEOUT,
        reads: Sequence[Path] = (),
    ) -> None:
        self.data = data.absolute()
        self._programs = programs
        self._settings = dict(settings or {})
        self._start_timeout = start_timeout
        self._reads = reads
        self._run: Path | None = None
        self._process: Process | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @cached_property
    def rights(self) -> Rights:
        """Rights of the server, whose user owns the data."""
        return server_rights(Path(self._programs.path("postgres")), self.data, *self._reads)

    def initialise(self) -> None:
        """Create the data directory, with :data:`SUPERUSER` as its superuser.

        Raises OperationError: see :func:`db.cluster.postgres.initdb`.
        """
        self.data.mkdir(mode=0o700, parents=True)
        give(self.data, self.rights)
        options = ("--auth=trust", "--no-sync", f"--username={SUPERUSER}")
        initdb(self._programs, self.data, self.rights, *options)

    def start(self) -> None:
        """Start it and return when it accepts connections, which in recovery is at its end.

        Raises OperationError: see :func:`db.cluster.postgres.wait_ready`.
        """
        self._run = Path(tempfile.mkdtemp(prefix="template-service-"))
        try:
            (self._run / "pg_hba.conf").write_text(_HBA)
            for path in (self._run, self._run / "pg_hba.conf"):
                give(path, self.rights)
            self._process = self._build(self._run)
            self._process.start()
            wait_ready(self.data, self._process, self._start_timeout)
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
        """Return the URL of one of its databases."""
        if self._run is None:
            raise OperationError(Kind.SERVER_FAILED, "the private server does not run", "start it")
        return (
            f"postgresql://{quote(user)}@/{quote(database)}?host={quote(str(self._run), safe='')}"
        )

    def log(self) -> str:
        """Return its log since its start."""
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
        return Process(
            "PostgreSQL",
            server_command(self._programs, self.data, settings),
            log=run / "log",
            record=run / "process",
            environment=ENVIRONMENT,
            rights=self.rights,
            stop_signal=signal.SIGINT,  # "fast" shutdown
            death_signal=signal.SIGQUIT,  # "immediate": no child stays behind
        )
