"""Long-running processes of a stack, and records by which other processes find them again."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import psutil

from db.cluster.children import ENVIRONMENT, Rights, start_program
from db.errors import Kind, OperationError
from db.postgres_errors import RETRY, find_cause

LOG_BYTES: Final = 5 * 1024 * 1024
KILL_TIMEOUT: Final = 10.0
# Both times that psutil reports are based on the boot time in whole seconds, which may move in
# between when the clock is corrected.
_CLOCK_TOLERANCE: Final = 1.5


@dataclass(frozen=True, slots=True)
class Identity:
    """A process number and its start in seconds since boot: both differ for a later process."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the identity of the process ``pid``, or ``None`` when it has ended."""
        started = _start_time(pid)
        return None if started is None else cls(pid, started)

    @classmethod
    def read(cls, record: Path) -> Self | None:
        """Return the process that ``record`` names if it still runs, else ``None``."""
        try:
            found = json.loads(record.read_text())
            known = cls(int(found["pid"]), float(found["started"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return known if known.alive() else None

    def write(self, record: Path) -> None:
        """Write this identity to the file ``record``."""
        write_private(record, json.dumps({"pid": self.pid, "started": self.started}))

    def alive(self) -> bool:
        """Return whether this very process still runs."""
        started = _start_time(self.pid)
        return started is not None and abs(started - self.started) <= _CLOCK_TOLERANCE

    def send(self, number: int) -> None:
        """Send a signal to the process, if it still runs."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 30.0) -> None:
        """Send a signal, then :meth:`finish`."""
        self.send(number)
        self.finish(timeout)

    def finish(self, timeout: float = 30.0) -> None:
        """Wait up to ``timeout`` seconds for its end, then kill its process group.

        Raises OperationError: ``server_failed``: it survives even that.
        """
        if wait_until(lambda: not self.alive(), timeout):
            return
        _kill_group(self.pid)
        if not wait_until(lambda: not self.alive(), KILL_TIMEOUT):
            raise OperationError(
                Kind.SERVER_FAILED, f"process {self.pid} did not stop", f"run: kill {self.pid}"
            )


@dataclass
class Process:
    """A program with its log file, in a session of its own.

    Attributes
    ----------
    name
        Its name in messages.
    command
        Absolute path of the program, then its arguments. Everyone on the machine can read them.
    log
        File that its output is appended to; moved to ``<log>.1`` at a start when it grew large.
    record
        File with its :class:`Identity`, for a later process that has to stop it.
    environment
        Its whole environment; :data:`ENVIRONMENT` by default.
    files
        Descriptors that it inherits.
    stop_signal, stop_timeout
        The signal of :meth:`stop`, and the seconds until it kills.
    death_signal
        Sent by the kernel when the thread that called :meth:`start` ends; ``None`` lets the
        process outlive it.
    """

    name: str
    command: list[str]
    log: Path
    record: Path
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    directory: Path = Path("/")
    rights: Rights = field(default_factory=Rights)
    files: Sequence[int] = ()
    stop_signal: int = signal.SIGTERM
    stop_timeout: float = 30.0
    death_signal: int | None = None
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _asked: bool = field(default=False, init=False, repr=False)
    _log_start: int = field(default=0, init=False, repr=False)

    def start(self) -> None:
        """Start the process; return as soon as it exists.

        Raises OperationError: ``server_failed``: the program cannot be executed.
        """
        rotate(self.log)
        self._asked = False
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            self._log_start = log.seek(0, os.SEEK_END)
            try:
                self._child = start_program(
                    self.command,
                    self.rights,
                    self.environment,
                    death_signal=self.death_signal,
                    stdout=log,
                    stderr=log,
                    files=self.files,
                    directory=self.directory,
                    is_leader=True,
                )
            except OSError as error:
                raise OperationError(
                    Kind.SERVER_FAILED, f"{self.name} was not started: {error}", RETRY
                ) from error
        if (identity := Identity.of(self._child.pid)) is not None:
            identity.write(self.record)

    @property
    def pid(self) -> int | None:
        """The process id, or ``None`` if the process does not run."""
        return self._child.pid if self._child is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self.exit_status is None

    @property
    def exit_status(self) -> int | None:
        """Exit status as :attr:`subprocess.Popen.returncode`; ``None`` while it runs."""
        child = self._child
        if child is None:
            return None
        if child.returncode is None and _has_ended(child.pid):
            # Before it is reaped: until then no other process can have its number or its group's.
            _kill_group(child.pid)
            child.wait(KILL_TIMEOUT)
        return child.returncode

    def send(self, number: int) -> None:
        """Send the process a signal, if it runs."""
        if self._child is not None and self.running:
            self._child.send_signal(number)

    def ask_to_stop(self) -> None:
        """Send :attr:`stop_signal`, once: a second one would cut a worker's last tasks short."""
        if not self._asked:
            self._asked = True
            self.send(self.stop_signal)

    def stop(self) -> None:
        """End the process; after a timeout kill it and its group. Safe to call again."""
        if self.running:
            self.ask_to_stop()
            if not wait_until(lambda: not self.running, self.stop_timeout):
                self.kill()
        self.record.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill the process and its group at once, as the end of its container would."""
        if self._child is not None and self.running:
            _kill_group(self._child.pid)
            self._child.wait(KILL_TIMEOUT)
        self.record.unlink(missing_ok=True)

    def output(self) -> str:
        """Return the output since the last start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of :meth:`output`."""
        return "\n".join(self.output().splitlines()[-lines:])

    def failure(self, what: str) -> OperationError:
        """Return the error "``name`` ``what``", with the end of the log and its path."""
        tail = self.tail()
        shown = f"; the end of {self.log}:\n{tail}" if tail else f"; {self.log} is empty"
        cause = find_cause(tail)
        kind, remedy = (Kind.SERVER_FAILED, RETRY) if cause is None else cause[1:]
        return OperationError(kind, f"{self.name} {what}{shown}", remedy)


def wait_until(condition: Callable[[], bool], timeout: float, every: float = 0.02) -> bool:
    """Check ``condition`` until it holds; return whether it did within ``timeout``.

    It is checked every so many seconds, and after some seconds less often, up to five times a
    second: some conditions read all of ``/proc``.
    """
    return any(condition() for _ in _ticks(timeout, every))


def private_directory(path: Path, mode: int = 0o700) -> Path:
    """Create the directory ``path`` with its parents and permission bits ``mode``; return it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.mkdir(exist_ok=True, mode=mode)
    if path.stat().st_uid == os.geteuid():
        path.chmod(mode)
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file atomically that only this user may read."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise


def rotate(log: Path) -> None:
    """Move a log that grew large to ``<log>.1``."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_name(log.name + ".1"))


def _ticks(timeout: float, every: float) -> Iterator[None]:
    begin = time.monotonic()
    yield
    while (waited := time.monotonic() - begin) < timeout:
        time.sleep(max(every, min(waited / 10, 0.2)))
        yield


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Return whether a process has ended, reaped or not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _start_time(pid: int) -> float | None:
    """Return the start of a process in seconds since boot, ``None`` for one that has ended.

    Since boot, because the time of day of a start changes when the clock is set.
    """
    try:
        started = float(psutil.Process(pid).create_time() - psutil.boot_time())
    except psutil.NoSuchProcess:
        return None
    return None if _has_ended(pid) else started
