"""What the local PostgreSQL and the local Valkey have in common."""

import fcntl
import os
import random
import secrets
import socket
import time
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from db.cluster.processes import (
    Identity,
    LocalServerError,
    Process,
    private_directory,
    wait_until,
    write_private,
)

HOST = "127.0.0.1"
# Below the ports that systems hand to outgoing connections: a client that keeps trying to reach
# a stopped server could otherwise be given the server's own port and connect to itself.
PORTS = range(20_000, 32_000)
START_TIMEOUT = 60.0
PORT_ATTEMPTS = 5


class LocalServer(ABC):
    """A server on a port of 127.0.0.1 with all its files in one folder.

    One object at a time may use the folder. A server that an earlier, killed owner left running
    on it is stopped first. Port and password are kept in the folder, so the address stays the same
    from one start to the next as long as the port is free.

    Parameters
    ----------
    directory
        Made when missing, for this user only.
    durable
        ``False`` gives up surviving a crash of the machine for speed; for tests.
    port
        The port to use, always; ``None`` means the one of last time or any free one.
    log
        Its log file; by default in ``directory``.
    die_with_parent
        Have the kernel end the server when the thread that starts it ends. For tests.
    """

    name: str
    stop_signal: int
    death_signal: int

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool = True,
        port: int | None = None,
        log: Path | None = None,
        die_with_parent: bool = False,
    ) -> None:
        self.directory = directory.absolute()
        self.durable = durable
        self.log = (log or self.directory / "log").absolute()
        self._fixed_port = port
        self._die_with_parent = die_with_parent
        self._lock: int | None = None
        self._process: Process | None = None
        self._port: int | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Start the server and return when it answers. Does nothing when it already runs.

        Raises
        ------
        LocalServerError
            When the folder is in use, or the server does not come up; with the end of its log.
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
            self._spawn(self._choose_port())
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
        if self._process is not None:
            self._process.stop()
            self._process = None
        self._release()

    def kill(self) -> None:
        """Kill the server as a crash would; :meth:`start` recovers."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self._release()

    def restart(self) -> None:
        """Stop it and start it again, on the same port if that is still free."""
        self.stop()
        self.start()

    def stop_orphan(self) -> bool:
        """Stop what a killed owner of this folder left running; tell whether there was any.

        Raises
        ------
        LocalServerError
            When the owner lives and has it in use.
        """
        if not self.directory.exists():
            return False
        self._acquire()
        try:
            return self._stop_recorded()
        finally:
            self._release()

    def found_pid(self) -> int | None:
        """Return the process number of the folder's server, whoever started it."""
        found = Identity.read(self._record)
        return None if found is None else found.pid

    @property
    def running(self) -> bool:
        """Whether the process runs; whether it answers is for :meth:`answers` to say."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int | None:
        """Its process number, or ``None`` when this object has it not running."""
        return None if self._process is None else self._process.pid

    @property
    def process(self) -> Process | None:
        """The process behind it, or ``None``."""
        return self._process

    @property
    def port(self) -> int:
        """Its port, of the last start if it does not run.

        Raises
        ------
        LocalServerError
            When it never ran.
        """
        if self._port is None:
            self._port = self._fixed_port or self._remembered_port()
        if self._port is None:
            raise LocalServerError(f"{self.name} in {self.directory} was never started")
        return self._port

    @property
    @abstractmethod
    def url(self) -> str:
        """Its address, with the password."""

    @abstractmethod
    def answers(self) -> bool:
        """Ask whether the server at :attr:`url` serves; ``False`` within a few seconds if not."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make everything ready that does not depend on the port."""

    @abstractmethod
    def _build(self, port: int) -> Process:
        """Return the process to start on this port."""

    @abstractmethod
    def _ready(self, process: Process) -> bool:
        """Tell whether this very process serves by now."""

    @abstractmethod
    def _after_start(self) -> None:
        """Do what needs a running server."""

    @abstractmethod
    def _again(self, output: str) -> bool:
        """Tell whether a start that failed with this output is worth repeating on its port."""

    @property
    def password(self) -> str:
        """The password of this folder's server, made at first use."""
        file = self.directory / "password"
        if not file.exists():
            write_private(file, secrets.token_hex(24))
        return file.read_text()

    @property
    def _record(self) -> Path:
        return self.directory / "process"

    def _stop_recorded(self) -> bool:
        orphan = Identity.read(self._record)
        if orphan is not None:
            orphan.stop(self.stop_signal)
        self._record.unlink(missing_ok=True)
        return orphan is not None

    def _acquire(self) -> None:
        if self._lock is not None:
            return
        private_directory(self.directory, self._directory_mode())
        if self.log.parent != self.directory:
            private_directory(self.log.parent)
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise LocalServerError(
                f"{self.name} in {self.directory} is in use by another process: stop that first"
            ) from error
        self._lock = descriptor

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _directory_mode(self) -> int:
        return 0o700

    def _remembered_port(self) -> int | None:
        try:
            return int((self.directory / "port").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _choose_port(self) -> int:
        if self._fixed_port is not None:
            return self._fixed_port
        return free_port(self._remembered_port())

    def _spawn(self, port: int) -> None:
        self._port = port
        self._process = self._build(port)
        self._process.death_signal = self.death_signal if self._die_with_parent else None
        self._process.start()
        if self._fixed_port is None:
            write_private(self.directory / "port", str(port))

    def _wait(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        attempts = PORT_ATTEMPTS
        while (process := self._process) is not None:
            left = end - time.monotonic()
            if not wait_until(partial(self._settled, process), left):
                raise process.failure(f"did not answer within {START_TIMEOUT:g} s")
            if process.running:
                return
            output = process.output()
            attempts -= 1
            if attempts and self._fixed_port is None and "Address already in use" in output:
                self._spawn(free_port())
            elif self._again(output):
                time.sleep(0.1)
                attempts += 1
                self._spawn(self.port)
            else:
                raise process.failure("ended instead of starting")
        raise LocalServerError(f"{self.name} was not launched")

    def _settled(self, process: Process) -> bool:
        return not process.running or self._ready(process)


def mask(url: str) -> str:
    """Return the address with its password replaced by ``***``."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:***@{host}").geturl()


def free_port(preferred: int | None = None) -> int:
    """Return a port of 127.0.0.1 that nothing listens on, ``preferred`` if it is one.

    Another process may still take it first; whoever binds it has to be ready for that.

    Raises
    ------
    LocalServerError
        When every port that was tried is taken.
    """
    tries = [] if preferred is None else [preferred]
    tries += random.sample(PORTS, 100)
    for port in tries:
        if _is_free(port):
            return port
    raise LocalServerError(f"no free port among those from {PORTS.start} to {PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections of the last run that linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
