"""The render process from its parent's side: start, write, read, terminate."""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tasks.rendering.frames import HEADER, unpack
from tasks.rendering.limits import Limits

START_SECONDS: Final = 15.0
"""For the start of a process, which takes a fifth of a second; less than the limit of a task."""

CHUNK_BYTES: Final = 256 * 1024
PIPE_BYTES: Final = 1024 * 1024
"""Bytes of a pipe for unread answers, so that the process can continue; Linux's maximum."""

GRACE_SECONDS: Final = 0.5
"""How long the parent waits for the end of a process before it kills."""

_WAITING: Final = 5
"""How many times as long as its processor time a render may take: on a busy machine it waits."""

# By default glibc returns memory to the kernel after each group of a batch and asks for it again in
# the next, which takes a sixth of the render process's time (mallopt(3)).
_KEPT_BYTES: Final = str(4 * 1024 * 1024)
_MALLOC: Final = {
    "MALLOC_TRIM_THRESHOLD_": _KEPT_BYTES,
    "MALLOC_MMAP_THRESHOLD_": _KEPT_BYTES,
}


def longest_wait(limits: Limits, renders: int) -> float:
    """Return the seconds after which a process that has not answered is taken for stopped."""
    return _WAITING * limits.render_seconds * renders + GRACE_SECONDS


class RenderProcessError(RuntimeError):
    """The render process could not be started, or ended in a way that no template explains.

    The next one may work: the machine was short of memory or of processes, or it was killed.
    """


class RenderProcess:
    """One process and its two pipes.

    Attributes
    ----------
    is_used
        Whether it has answered a request, and so may keep what that has compiled.

    Raises
    ------
    RenderProcessError
        It does not start.
    """

    def __init__(self, limits: Limits) -> None:
        self.is_used = False
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments of our own
                [sys.executable, "-m", "tasks.rendering.process", json.dumps(asdict(limits))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # No setting of the worker, its passwords least of all, where templates run.
                env={"PYTHONPATH": os.pathsep.join(_import_path()), **_MALLOC},
                bufsize=0,
            )
        except OSError as error:
            message = f"the render process cannot be started: {error.strerror}"
            raise RenderProcessError(message) from error
        assert self._popen.stdin is not None  # noqa: S101 - for the type checker
        assert self._popen.stdout is not None  # noqa: S101 - for the type checker
        self._inbox, self._outbox = self._popen.stdin.fileno(), self._popen.stdout.fileno()
        self._received = bytearray()
        # A pipe holds less than a message: a process that does not read must not block the caller.
        os.set_blocking(self._inbox, False)
        with suppress(OSError):  # the user has many pipes, and the usual size does too
            fcntl.fcntl(self._outbox, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        if self.receive(START_SECONDS) is None:
            self.kill()
            raise RenderProcessError("the render process did not start")

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._popen.poll() is None

    def wait(self) -> int:
        """Return the exit status, negative for a signal, and close the pipes."""
        with suppress(ProcessLookupError):
            if self._popen.poll() is None and not self._ended(GRACE_SECONDS):
                # It was stopped (SIGSTOP), or the machine stood still.
                self._popen.send_signal(signal.SIGKILL)
        status = self._popen.wait()
        self._close_pipes()
        return status

    def close(self) -> None:
        """Close the pipes; kill the process if it does not exit."""
        self._close_pipes()
        if not self._ended(GRACE_SECONDS):
            self._popen.kill()
        self._popen.wait()

    def kill(self) -> None:
        """Kill the process."""
        self._popen.kill()
        self._popen.wait()
        self._close_pipes()

    def send(self, message: bytes, seconds: float) -> bool:
        """Write a message; return whether all of it was accepted in time."""
        poll = select.poll()
        poll.register(self._inbox, select.POLLOUT)
        poll.register(self._outbox, select.POLLIN)
        deadline = time.monotonic() + seconds
        rest = memoryview(message)
        while rest:
            try:
                rest = rest[os.write(self._inbox, rest) :]
            except BlockingIOError:
                # The process may wait for its last answer to be taken, before it reads on.
                left = deadline - time.monotonic()
                events = dict(poll.poll(left * 1000)) if left > 0 else {}
                if not events or (self._outbox in events and not self._take_what_is_there()):
                    return False
            except BrokenPipeError:
                return False
        return True

    def receive(self, seconds: float) -> list[bytes] | None:
        """Return the parts of the next message, or None when there is none in time."""
        poll = select.poll()
        poll.register(self._outbox, select.POLLIN)
        deadline = time.monotonic() + seconds
        while (size := self._size()) is None or len(self._received) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000) or not self._take_what_is_there():
                return None
        parts = unpack(bytes(self._received[HEADER.size : size]))
        del self._received[:size]
        return parts

    def _size(self) -> int | None:
        """Return the next message's size in bytes with its header; None while unknown."""
        if len(self._received) < HEADER.size:
            return None
        return int(HEADER.size + HEADER.unpack_from(self._received)[0])

    def _take_what_is_there(self) -> bool:
        chunk = os.read(self._outbox, CHUNK_BYTES)
        self._received += chunk
        return bool(chunk)

    def _ended(self, seconds: float) -> bool:
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _close_pipes(self) -> None:
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()


def _import_path() -> list[str]:
    """Return where this process imports from, without folders that change each start of Python.

    opentelemetry-instrument, and others of its kind, put a folder with a sitecustomize.py in front.
    In the render process it would load all of their libraries into its limited memory.
    """
    paths = [Path(path) if path else Path.cwd() for path in sys.path]
    return [str(path) for path in paths if not (path / "sitecustomize.py").exists()]
