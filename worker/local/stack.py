"""The whole service on one machine: servers, database schema, workers, beat and Flower."""

import http.client
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import redis
from alembic.util import CommandError
from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy.exc import SQLAlchemyError

from db import migrations
from db.cluster.processes import (
    Identity,
    LocalServerError,
    Process,
    private_directory,
    wait_until,
    write_private,
)
from worker.local.postgres import LocalPostgres, programs
from worker.local.server import HOST, LocalServer, free_port, mask
from worker.local.valkey import LocalValkey

DIRECTORY_VARIABLE = "TEMPLATE_SERVICE_LOCAL_DIR"
QUEUES = "templates,render,render-bulk,maintenance"
READY_TIMEOUT = 60.0
WARM_SHUTDOWN = 30.0
PING_TIMEOUT = 1.0
PORT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Part:
    """What :meth:`LocalStack.status` says about one part.

    Attributes
    ----------
    name
        postgres, valkey, worker, beat or flower.
    pid
        Its process number, or ``None`` when there is no process.
    answers
        Whether it did when asked.
    address
        Where, without the password; empty for what has none.
    """

    name: str
    pid: int | None
    answers: bool
    address: str


class LocalStack:
    """PostgreSQL, Valkey, the migrated database, and the service's processes on them.

    Everything it writes is in ``directory``; data stay there from one start to the next. One
    object at a time may run a directory; what a killed one left running is stopped at the start.

    Parameters
    ----------
    directory
        ``None`` means :func:`local_directory`.
    workers
        How many workers, 0 for none. The first is ``worker@HOST``, the next ``worker2@HOST``.
    beat, flower
        Whether to start those.
    concurrency, pool, queues
        Of each worker.
    durable
        ``False`` makes the servers faster and a crash of the machine fatal to their data.
    environment
        Variables for the service's processes, over all others.
    die_with_parent
        Have the kernel end everything when the thread that starts it ends. For tests.
    cancel
        Once set, :meth:`start` gives up and raises.
    """

    def __init__(  # noqa: PLR0913 - by name only, and each with a default that fits
        self,
        directory: Path | None = None,
        *,
        workers: int = 1,
        beat: bool = True,
        flower: bool = True,
        concurrency: int = 2,
        pool: str = "prefork",
        queues: str = QUEUES,
        durable: bool = True,
        environment: Mapping[str, str] | None = None,
        die_with_parent: bool = False,
        cancel: threading.Event | None = None,
    ) -> None:
        self.directory = (directory or local_directory()).absolute()
        self.logs = self.directory / "log"
        self.postgres = LocalPostgres(
            self.directory / "postgres",
            durable=durable,
            log=self.logs / "postgres.log",
            die_with_parent=die_with_parent,
        )
        self.valkey = LocalValkey(
            self.directory / "valkey",
            durable=durable,
            log=self.logs / "valkey.log",
            die_with_parent=die_with_parent,
        )
        self.processes: dict[str, Process] = {}
        self._worker_names = ["worker", *(f"worker{n}" for n in range(2, workers + 1))][:workers]
        self._beat = beat
        self._flower = flower
        self._worker_options = [f"--pool={pool}", f"--concurrency={concurrency}", "-Q", queues]
        self._extra = dict(environment or {})
        self._die_with_parent = die_with_parent
        self._cancel = cancel or threading.Event()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Start everything and return when every part answers.

        Raises
        ------
        LocalServerError
            Naming the part that failed, with the end of its log; nothing is left running.
        """
        try:
            self._start_servers()
            if self._flower:
                self._start_flower()
            self._migrate()
            for name in self._worker_names:
                self._launch(name, self._worker_command(name), stop_timeout=WARM_SHUTDOWN)
            if self._beat:
                self._launch("beat", ["beat", "--loglevel", "INFO"])
            for name in self._worker_names:
                self._wait_for(name, partial(self._worker_answers, name))
            if self._beat:
                self._wait_for("beat", lambda: "beat: Starting" in self.processes["beat"].output())
            if self._flower:
                self._wait_for_flower()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything: workers finish what they run, for 30 s at most. Safe to call again."""
        for process in reversed(self.processes.values()):
            process.ask_to_stop()
        for process in reversed(self.processes.values()):
            process.stop()
        self.processes.clear()
        self.valkey.stop()
        self.postgres.stop()

    def stop_orphans(self) -> bool:
        """Stop what a killed owner of this directory left running; tell whether there was any.

        Raises
        ------
        LocalServerError
            When the owner lives and has the servers in use.
        """
        records = sorted(self._run.glob("*.process"))
        orphans = [found for record in records if (found := Identity.read(record)) is not None]
        for orphan in orphans:
            orphan.send(signal.SIGTERM)
        for orphan in orphans:
            orphan.finish(WARM_SHUTDOWN)
        for record in records:
            record.unlink(missing_ok=True)
        servers = [server.stop_orphan() for server in (self.valkey, self.postgres)]
        return bool(orphans) or any(servers)

    def failed(self) -> LocalServerError | None:
        """Return what is wrong when a part that was started has ended, else ``None``."""
        parts = [server.process for server in (self.postgres, self.valkey)]
        for process in (*parts, *self.processes.values()):
            if process is not None and not process.running:
                return process.failure(f"ended (exit status {process.exit_status})")
        return None

    def started(self) -> bool:
        """Tell whether every part answers, whoever started it; takes a few seconds."""
        return all(part.answers for part in self.status())

    def status(self) -> list[Part]:
        """Ask every part, whoever started it, and return what was found; takes a few seconds."""
        parts = []
        servers: tuple[tuple[str, LocalServer], ...] = (
            ("postgres", self.postgres),
            ("valkey", self.valkey),
        )
        for name, server in servers:
            pid = server.found_pid()
            address = mask(server.url) if pid is not None else ""
            parts.append(Part(name, pid, pid is not None and server.answers(), address))
        for name in self._worker_names:
            pid = self._found_pid(name)
            answers = pid is not None and parts[1].answers and self._worker_answers(name)
            parts.append(Part(name, pid, answers, _node(name) if pid is not None else ""))
        if self._beat:
            pid = self._found_pid("beat")
            parts.append(Part("beat", pid, pid is not None, ""))
        if self._flower:
            pid = self._found_pid("flower")
            address = self.flower_url if pid is not None else ""
            parts.append(Part("flower", pid, pid is not None and self._flower_answers(), address))
        return parts

    @property
    def flower_url(self) -> str:
        """Address of Flower, of the last start if it does not run."""
        return f"http://{HOST}:{self._flower_port()}/"

    @property
    def environment_file(self) -> Path:
        """The file to source in a shell for :meth:`environment`."""
        return self.directory / "env"

    def producer(self) -> Celery:
        """Return a Celery app that sends to this stack, with none of the service's code."""
        addresses = self.addresses()
        app = Celery(backend=addresses["CELERY_RESULT_BACKEND"], set_as_current=False)
        # Not as an argument: CELERY_BROKER_URL, which may name another broker, wins over that.
        broker = addresses["CELERY_BROKER_URL"]
        app.conf.update(broker_read_url=broker, broker_write_url=broker)
        return app

    def addresses(self) -> dict[str, str]:
        """Return the variables that tell where servers and files are, with passwords."""
        return {
            "DATABASE_URL": self.postgres.url,
            "CELERY_BROKER_URL": self.valkey.url,
            "CELERY_RESULT_BACKEND": self.valkey.url_of(1),
            "TEMPLATE_SERVICE_BACKUP_TARGET": str(self.directory / "backups"),
            "TEMPLATE_SERVICE_RECOVERY_DIRECTORY": str(self.directory / "recovery"),
        }

    def environment(self) -> dict[str, str]:
        """Return the whole environment of the service's processes; passwords are in it."""
        inherited = {
            # Flower and libpq take options from these, which are meant for other servers.
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FLOWER_", "PG"))
        }
        paths = [*self._program_folders(), inherited.get("PATH", os.defpath)]
        return {
            **inherited,
            # Without it nothing here could be asked whether it runs.
            "TEMPLATE_SERVICE_REMOTE_CONTROL": "true",
            **self.addresses(),
            **self._extra,
            "PATH": os.pathsep.join(paths),
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def _run(self) -> Path:
        return self.directory / "run"

    def _start_servers(self) -> None:
        # Root lets its unprivileged server through to the server's folder, and no further.
        private_directory(self.directory, 0o711 if os.geteuid() == 0 else 0o700)
        private_directory(self.logs)
        private_directory(self._run)
        self.stop_orphans()
        self.valkey.launch()
        self.postgres.start()
        self.valkey.wait()
        self._write_environment()

    def _write_environment(self) -> None:
        lines = ["# For a shell: . this file"]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in self.addresses().items()]
        folders = ":".join(shlex.quote(folder) for folder in self._program_folders())
        lines.append(f'export PATH={folders}:"$PATH"')
        write_private(self.environment_file, "\n".join(lines) + "\n")

    def _program_folders(self) -> list[str]:
        return [str(Path(sys.executable).parent), str(programs())]

    def _migrate(self) -> None:
        # In this process: Alembic's own would be a second longer at its imports than at work.
        try:
            migrations.upgrade(self.postgres.url)
        except (SQLAlchemyError, CommandError) as error:
            raise LocalServerError(f"the migrations failed: {error}") from error

    def _worker_command(self, name: str) -> list[str]:
        # Mingling would wait a second for neighbours that are only just starting too.
        options = [*self._worker_options, "--without-mingle", "--loglevel", "INFO"]
        return ["worker", *options, "-n", _node(name)]

    def _start_flower(self) -> None:
        port = free_port(self._flower_port())
        write_private(self._run / "flower.port", str(port))
        self._launch("flower", ["flower", f"--address={HOST}", f"--port={port}"])

    def _wait_for_flower(self) -> None:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._wait_for("flower", self._flower_answers)
            except LocalServerError:
                output = self.processes["flower"].output()
                if attempt == PORT_ATTEMPTS or "Address already in use" not in output:
                    raise
                self._start_flower()
            else:
                return

    def _launch(self, name: str, arguments: list[str], *, stop_timeout: float = 10.0) -> None:
        process = Process(
            name,
            [sys.executable, "-m", "celery", "-A", "worker", *arguments],
            log=self.logs / f"{name}.log",
            record=self._record(name),
            environment=self.environment(),
            directory=checkout(),
            stop_timeout=stop_timeout,
            death_signal=signal.SIGTERM if self._die_with_parent else None,
        )
        self.processes[name] = process
        process.start()

    def _wait_for(self, name: str, answers: Callable[[], bool]) -> None:
        process = self.processes[name]

        def settled() -> bool:
            if self._cancel.is_set():
                raise LocalServerError("stopped while starting")
            if (failure := self.failed()) is not None:
                raise failure
            return answers()

        if not wait_until(settled, READY_TIMEOUT):
            raise process.failure(f"did not answer within {READY_TIMEOUT:g} s")

    def _worker_answers(self, name: str) -> bool:
        node = _node(name)
        with self.producer() as app:
            try:
                replies = app.control.ping(destination=[node], timeout=PING_TIMEOUT)
            except (OperationalError, redis.RedisError, OSError):
                return False
        return any(node in reply for reply in replies)

    def _flower_answers(self) -> bool:
        connection = http.client.HTTPConnection(
            HOST, self._flower_port() or 0, timeout=PING_TIMEOUT
        )
        try:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _flower_port(self) -> int | None:
        try:
            return int((self._run / "flower.port").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _record(self, name: str) -> Path:
        return self._run / f"{name}.process"

    def _found_pid(self, name: str) -> int | None:
        found = Identity.read(self._record(name))
        return None if found is None else found.pid


def checkout() -> Path:
    """Return the root of the checkout that this code is part of.

    Raises
    ------
    LocalServerError
        When it was installed without one.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "alembic.ini").exists():
        raise LocalServerError(f"{root} is no checkout of this project: alembic.ini is missing")
    return root


def local_directory() -> Path:
    """Return the folder of the local stack: ``.local`` of the checkout.

    ``TEMPLATE_SERVICE_LOCAL_DIR`` overrides it.
    """
    chosen = os.environ.get(DIRECTORY_VARIABLE)
    return Path(chosen).absolute() if chosen else checkout() / ".local"


def _node(name: str) -> str:
    return f"{name}@{socket.gethostname()}"
