"""Base class of the local PostgreSQL and Valkey: a server on a port of 127.0.0.1."""

import fcntl
import os
import random
import secrets
import socket
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from db.cluster.processes import Identity, Process, private_directory, wait_until, write_private
from db.errors import Kind, OperationError

HOST: Final = "127.0.0.1"
# Below the ports that systems hand to outgoing connections: a client that keeps trying to reach
# a stopped server could otherwise be given the server's own port and connect to itself.
PORTS: Final = range(20_000, 32_000)
START_TIMEOUT: Final = 60.0
PORT_ATTEMPTS: Final = 5


class LocalServer(ABC):
    """A server on a port of 127.0.0.1 with all its files in one directory.

    One object at a time may use the directory. A server that a killed owner left running on it is
    stopped first. Port and password are stored in the directory, so the address stays the same
    from one start to the next as long as the port is free.

    Parameters
    ----------
    directory
        Created when missing, for this user only.
    log
        Its log file; by default in ``directory``.
    die_with_parent
        Have the kernel end the server when the thread that starts it ends.
    """

    name: str
    stop_signal: int
    death_signal: int

    def __init__(
        self,
        directory: Path,
        *,
        log: Path | None = None,
        die_with_parent: bool = False,
    ) -> None:
        self.directory = directory.absolute()
        self.log = (log or self.directory / "log").absolute()
        self._die_with_parent = die_with_parent
        self._lock: int | None = None
        self.process: Process | None = None
        self._port: int | None = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    def start(self) -> None:
        """Start the server and return when it answers. Does nothing when it already runs.

        Raises OperationError: ``in_use``: another process runs it; ``server_failed``, with the end
        of its log.
        """
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Do the first half of :meth:`start`: return when the process exists."""
        if self.running:
            return
        self._acquire()
        try:
            self._stop_recorded()
            self._prepare()
            self._spawn(free_port(read_port(self._port_file)))
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        """Do the second half of :meth:`start`: return when the server answers."""
        try:
            self._wait()
            self._after_start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and wait until it is gone. Safe to call again."""
        if self.process is not None:
            self.process.stop()
            self.process = None
        self._release()

    def kill(self) -> None:
        """Kill the server as a crash would; :meth:`start` recovers."""
        if self.process is not None:
            self.process.kill()
        self.stop()

    def restart(self) -> None:
        """Restart the server, on the same port if that is still free."""
        self.stop()
        self.start()

    def stop_orphan(self) -> bool:
        """Stop the server that a killed owner left running; return whether there was one.

        Raises OperationError: ``in_use``: its owner still runs.
        """
        if not self.directory.exists():
            return False
        self._acquire()
        try:
            return self._stop_recorded()
        finally:
            self._release()

    def found_pid(self) -> int | None:
        """Return the process number of the directory's server, whichever process started it."""
        identity = Identity.read(self._record)
        return None if identity is None else identity.pid

    @property
    def running(self) -> bool:
        """Whether this object's process runs; see also :meth:`answers`."""
        return self.process is not None and self.process.running

    @property
    def pid(self) -> int | None:
        """Process id of the server; ``None`` if this object does not run it."""
        return None if self.process is None else self.process.pid

    @property
    def port(self) -> int:
        """The server's port; of the last start if it does not run.

        Raises OperationError: ``server_failed``: it never ran.
        """
        if self._port is None:
            self._port = read_port(self._port_file)
        if self._port is None:
            raise OperationError(
                Kind.SERVER_FAILED,
                f"{self.name} in {self.directory} was never started",
                "run: template-service up",
            )
        return self._port

    @property
    @abstractmethod
    def url(self) -> str:
        """The server's address, with the password."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server answers at :attr:`url`, within a few seconds."""

    @abstractmethod
    def _prepare(self) -> None:
        """Prepare everything that does not depend on the port."""

    @abstractmethod
    def _build(self, port: int) -> Process:
        """Return the process to start on this port."""

    @abstractmethod
    def _ready(self, process: Process) -> bool:
        """Return whether this very process answers."""

    @abstractmethod
    def _after_start(self) -> None:
        """Set up what requires a running server."""

    def _can_retry_start(self, output: str) -> bool:  # noqa: ARG002 - most errors are not temporary
        """Return whether a start that failed with this output can be retried on its port."""
        return False

    @property
    def password(self) -> str:
        """The password of this directory's server, generated at first use."""
        file = self.directory / "password"
        if not file.exists():
            write_private(file, secrets.token_hex(24))
        return file.read_text()

    @property
    def _record(self) -> Path:
        return self.directory / "process"

    @property
    def _port_file(self) -> Path:
        return self.directory / "port"

    def _stop_recorded(self) -> bool:
        orphan = Identity.read(self._record)
        if orphan is not None:
            orphan.stop(self.stop_signal)
        self._record.unlink(missing_ok=True)
        return orphan is not None

    def _acquire(self) -> None:
        if self._lock is None:
            private_directory(self.directory, self._directory_mode())
            if self.log.parent != self.directory:
                private_directory(self.log.parent)
            self._lock = lock_directory(self.directory)
        if self._lock is None:
            raise OperationError(
                Kind.IN_USE,
                f"{self.name} in {self.directory} is in use by another process",
                "run: template-service down",
            )

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _directory_mode(self) -> int:
        return 0o700

    def _spawn(self, port: int) -> None:
        self._port = port
        self.process = self._build(port)
        self.process.death_signal = self.death_signal if self._die_with_parent else None
        self.process.start()
        write_private(self._port_file, str(port))

    def _wait(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        attempts = PORT_ATTEMPTS
        while True:
            process = self.process
            if process is None:
                raise OperationError(
                    Kind.SERVER_FAILED, f"{self.name} was not launched", "run: template-service up"
                )
            if not wait_until(self._is_settled, end - time.monotonic()):
                raise process.failure(f"did not answer within {START_TIMEOUT:g} s")
            if process.running:
                return
            output = process.output()
            if "Address already in use" in output and attempts > 1:
                attempts -= 1
                self._spawn(free_port())
            elif self._can_retry_start(output):
                time.sleep(0.1)
                self._spawn(self.port)
            else:
                raise process.failure("ended instead of starting")

    def _is_settled(self) -> bool:
        return self.process is None or not self.process.running or self._ready(self.process)


def lock_directory(directory: Path) -> int | None:
    """Lock a directory; return the lock's file descriptor, ``None`` if another process holds it."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def mask(url: str) -> str:
    """Return the address with its password replaced by ``***``."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:***@{host}").geturl()


def read_port(file: Path) -> int | None:
    """Return the port of the last start, or ``None``."""
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def free_port(preferred: int | None = None) -> int:
    """Return a port of 127.0.0.1 that no process listens on, ``preferred`` if it is free.

    Another process may take it before the caller binds it, who must be prepared for that.

    Raises OperationError: ``no_free_port``.
    """
    for port in [*([] if preferred is None else [preferred]), *random.sample(PORTS, 100)]:
        if _is_free(port):
            return port
    raise OperationError(
        "no_free_port",
        f"no free port found from {PORTS.start} to {PORTS.stop}",
        "stop some servers on this machine",
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections in TIME_WAIT from the last run do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
