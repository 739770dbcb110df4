"""The whole service on one machine: servers, database schema, workers, beat and Flower."""

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
from typing import Final, Self

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from db import service_file
from db.cluster.processes import Identity, Process, private_directory, wait_until, write_private
from db.cluster.programs import Programs
from db.errors import OperationError
from worker.directories import code_directory, local_directory
from worker.local.flower import Flower
from worker.local.http import HttpServer
from worker.local.postgres import NAME, LocalPostgres
from worker.local.server import HOST, LocalServer, mask
from worker.local.valkey import LocalValkey
from worker.results import ProducerApp
from worker.settings import environment_name

QUEUES: Final = "templates,render,render-bulk,maintenance,monitoring"
READY_TIMEOUT: Final = 60.0
WARM_SHUTDOWN: Final = 30.0
PING_TIMEOUT: Final = 1.0
PORT_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Part:
    """State of a part: postgres, valkey, a worker, beat or flower; its address has no password."""

    name: str
    pid: int | None
    answers: bool
    address: str


class LocalStack:
    """PostgreSQL, Valkey, the migrated database, and the service's processes on them.

    All its files are in ``directory``; data remain there from one start to the next. One object at
    a time may run a directory; processes that a killed one left running are stopped at the start.

    Parameters
    ----------
    directory
        ``None`` means :func:`local_directory`.
    workers
        Number of workers, 0 for none. The first is ``worker@HOST``, the next ``worker2@HOST``.
    beat, flower
        Whether to start those.
    metrics
        Whether workers and beat serve metrics, each on a port of its own.
    concurrency
        Pool processes of each worker.
    environment
        Variables for the service's processes, over all others.
    die_with_parent
        Have the kernel end everything when the thread that starts it ends.
    cancel
        Once set, :meth:`start` raises.
    """

    def __init__(  # noqa: PLR0913 - by name only, and each with a default that fits
        self,
        directory: Path | None = None,
        *,
        workers: int = 1,
        beat: bool = True,
        flower: bool = True,
        metrics: bool = True,
        concurrency: int = 2,
        environment: Mapping[str, str] | None = None,
        die_with_parent: bool = False,
        cancel: threading.Event | None = None,
    ) -> None:
        self.directory = (directory or local_directory()).absolute()
        self.logs = self.directory / "log"
        self.postgres = LocalPostgres(
            self.directory / "postgres",
            log=self.logs / "postgres.log",
            die_with_parent=die_with_parent,
        )
        self.valkey = LocalValkey(
            self.directory / "valkey",
            log=self.logs / "valkey.log",
            die_with_parent=die_with_parent,
        )
        self._run = self.directory / "run"
        self.processes: dict[str, Process] = {}
        self._worker_names = ["worker", *(f"worker{n}" for n in range(2, workers + 1))][:workers]
        self._beat = beat
        self.flower = Flower(self._run / "flower.port") if flower else None
        names = [*self._worker_names, *(["beat"] if beat else [])] if metrics else []
        self._metrics = {name: HttpServer(self._run / f"{name}.port") for name in names}
        self.worker_options = [f"--concurrency={concurrency}", "-Q", QUEUES]
        self._extra = dict(environment or {})
        self._die_with_parent = die_with_parent
        self._cancel = cancel or threading.Event()

    def __enter__(self) -> Self:
        """Start the stack."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the stack."""
        self.stop()

    def start(self) -> None:
        """Start everything and return when every part answers.

        Raises OperationError: names the part that failed, with the end of its log; nothing is left
        running.
        """
        try:
            self._start_servers()
            if self.flower is not None:
                self._launch("flower", self.flower.arguments())
            self._migrate()
            for name in self._worker_names:
                self._launch(name, self._worker_command(name), stop_timeout=WARM_SHUTDOWN)
            if self._beat:
                self._launch("beat", ["beat", "--loglevel", "INFO"])
            for name in self._worker_names:
                self._wait_for(name, partial(self._worker_answers, name))
            if self._beat:
                self._wait_for("beat", lambda: "beat: Starting" in self.processes["beat"].output())
            if self.flower is not None:
                self._wait_for_flower(self.flower)
                self._write_environment()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything: workers finish their tasks, within 30 s. Safe to call again."""
        for process in reversed(self.processes.values()):
            process.ask_to_stop()
        for process in reversed(self.processes.values()):
            process.stop()
        self.processes.clear()
        self.valkey.stop()
        self.postgres.stop()

    def stop_orphans(self) -> bool:
        """Stop processes that a killed owner left running; return whether there were any.

        Raises OperationError: ``in_use``: the owner still runs the servers.
        """
        records = sorted(self._run.glob("*.process"))
        orphans = [
            identity for record in records if (identity := Identity.read(record)) is not None
        ]
        for orphan in orphans:
            orphan.send(signal.SIGTERM)
        for orphan in orphans:
            orphan.finish(WARM_SHUTDOWN)
        for record in records:
            record.unlink(missing_ok=True)
        servers = [server.stop_orphan() for server in (self.valkey, self.postgres)]
        return bool(orphans) or any(servers)

    def failed(self) -> OperationError | None:
        """Return the error of a part that was started and has ended, else ``None``."""
        parts = [server.process for server in (self.postgres, self.valkey)]
        for process in (*parts, *self.processes.values()):
            if process is not None and not process.running:
                return process.failure(f"ended (exit status {process.exit_status})")
        return None

    def started(self) -> bool:
        """Return whether every part answers, whichever process started it; takes seconds."""
        return all(part.answers for part in self.status())

    def status(self) -> list[Part]:
        """Return the state of every part, whichever process started it; takes seconds."""
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
        if self.flower is not None:
            pid = self._found_pid("flower")
            address = self.flower.url if pid is not None else ""
            parts.append(Part("flower", pid, pid is not None and self.flower.is_ready(), address))
        return parts

    @property
    def flower_url(self) -> str:
        """Address of Flower, of the last start if it does not run; empty without Flower."""
        return "" if self.flower is None else self.flower.url

    @property
    def metrics_urls(self) -> dict[str, str]:
        """Addresses of the metrics by the name of the process."""
        return {name: f"{server.url}metrics" for name, server in self._metrics.items()}

    @property
    def environment_file(self) -> Path:
        """The file for a shell to source :meth:`addresses` from."""
        return self.directory / "env"

    def producer(self) -> Celery:
        """Return a Celery app that sends to this stack, with none of the service's code."""
        addresses = self.addresses()
        app = ProducerApp(backend=addresses["CELERY_RESULT_BACKEND"], set_as_current=False)
        # CELERY_BROKER_URL, which may name another broker, overrides the argument of Celery().
        broker = addresses["CELERY_BROKER_URL"]
        app.conf.update(broker_read_url=broker, broker_write_url=broker)
        return app

    def addresses(self) -> dict[str, str]:
        """Return the variables with the addresses of servers and directories, with passwords."""
        return {
            "DATABASE_URL": self.postgres.url,
            "CELERY_BROKER_URL": self.valkey.url,
            "CELERY_RESULT_BACKEND": self.valkey.url_of(1),
            "TEMPLATE_SERVICE_BACKUP_TARGET": str(self.directory / "backups"),
            "TEMPLATE_SERVICE_RECOVERY_DIRECTORY": str(self.directory / "recovery"),
        }

    def environment(self) -> dict[str, str]:
        """Return the whole environment of the service's processes, with passwords."""
        inherited = {
            # libpq reads options from these, which are for other servers.
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PG")
        }
        paths = [*self._program_folders(), inherited.get("PATH", os.defpath)]
        return {
            **inherited,
            # The stack pings its workers.
            "TEMPLATE_SERVICE_REMOTE_CONTROL": "true",
            **self.addresses(),
            **self._extra,
            "PATH": os.pathsep.join(paths),
            "PYTHONUNBUFFERED": "1",
        }

    def _start_servers(self) -> None:
        stack_directory(self.directory)
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
        if self.flower is not None:
            lines.append(f"export FLOWER_URL={shlex.quote(self.flower.url_with_password)}")
        services = self.directory / service_file.NAME
        service_file.write_service_file(services, {NAME: self.postgres.url})
        lines += service_file.service_variables(services, NAME)
        folders = ":".join(shlex.quote(folder) for folder in self._program_folders())
        lines.append(f'export PATH={folders}:"$PATH"')
        write_private(self.environment_file, "\n".join(lines) + "\n")

    def _program_folders(self) -> list[str]:
        return [str(Path(sys.executable).parent), str(Programs.chosen().folder)]

    def _migrate(self) -> None:
        # In this process: a separate one would spend a second on imports. They are a third of those
        # of "down" and "status", which migrate nothing.
        from worker.local.migration import migrate  # noqa: PLC0415

        migrate(self.postgres.url)

    def _worker_command(self, name: str) -> list[str]:
        # Mingling would wait a second for other workers, which are starting too.
        options = [*self.worker_options, "--without-mingle", "--loglevel", "INFO"]
        return ["worker", *options, "-n", _node(name)]

    def _wait_for_flower(self, flower: Flower) -> None:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                return self._wait_for("flower", flower.is_ready)
            except OperationError:
                output = self.processes["flower"].output()
                if attempt == PORT_ATTEMPTS or "Address already in use" not in output:
                    raise
                self._launch("flower", flower.arguments())
        return None

    def _launch(self, name: str, arguments: list[str], *, stop_timeout: float = 10.0) -> None:
        process = Process(
            name,
            [sys.executable, "-m", "celery", "-A", "worker", *arguments],
            log=self.logs / f"{name}.log",
            record=self._record(name),
            environment=self._environment_of(name),
            directory=code_directory(),
            stop_timeout=stop_timeout,
            death_signal=signal.SIGTERM if self._die_with_parent else None,
        )
        self.processes[name] = process
        process.start()

    def _environment_of(self, name: str) -> dict[str, str]:
        environment = self.environment()
        if name == "flower" and self.flower is not None:
            return self.flower.environment(environment)
        if (server := self._metrics.get(name)) is None:
            return environment
        address = f"{HOST}:{server.choose_port()}"
        return {**environment, environment_name("metrics_address"): address}

    def _wait_for(self, name: str, answers: Callable[[], bool]) -> None:
        def answers_or_fails() -> bool:
            if self._cancel.is_set():
                raise OperationError("stopped", "the stack was stopped while starting", "retry")
            if (failure := self.failed()) is not None:
                raise failure
            return answers()

        if not wait_until(answers_or_fails, READY_TIMEOUT):
            raise self.processes[name].failure(f"did not answer within {READY_TIMEOUT:g} s")

    def _worker_answers(self, name: str) -> bool:
        node = _node(name)
        with self.producer() as app:
            try:
                replies = app.control.ping(destination=[node], timeout=PING_TIMEOUT)
            except (OperationalError, redis.RedisError, OSError):
                return False
        return any(node in reply for reply in replies)

    def _record(self, name: str) -> Path:
        return self._run / f"{name}.process"

    def _found_pid(self, name: str) -> int | None:
        identity = Identity.read(self._record(name))
        return None if identity is None else identity.pid


def stack_directory(directory: Path) -> Path:
    """Create the directory of a stack and return it.

    If root starts the stack, PostgreSQL's unprivileged user must reach its own directory below it.
    """
    return private_directory(directory, 0o711 if os.geteuid() == 0 else 0o700)


def _node(name: str) -> str:
    return f"{name}@{socket.gethostname()}"
