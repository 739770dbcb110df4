"""The worker's side of the render process."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final, Self

from tasks.errors import Problem, RenderLimitExceeded, ServiceError
from tasks.rendering.limits import Limits
from tasks.rendering.process import HEADER, memory_error
from tasks.rendering.trial import MOST_RENDERS

START_SECONDS: Final = 30.0
CHUNK_BYTES: Final = 64 * 1024
GRACE_SECONDS: Final = 0.5
"""How much longer than the render process's own timer the client waits before it kills."""


class RenderProcessError(RuntimeError):
    """The render process could not be started, or broke in a way that no template explains."""


class Renderer:
    """Render processes of one worker process, started when needed and used again.

    A process serves one request at a time, so there are as many as threads render at once: one
    under the prefork and solo pools. Create it after the fork: a pipe cannot be shared.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._idle: list[_RenderProcess] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start a process ahead of the first request."""
        self._give_back(_RenderProcess(self._limits))

    def close(self) -> None:
        """End the idle processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def __enter__(self) -> Self:
        """Return the renderer; the processes end with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self.close()

    @property
    def process_ids(self) -> list[int]:
        """The idle render processes."""
        with self._lock:
            return [process.pid for process in self._idle]

    def render(
        self, subject: str | None, body: str, values: Mapping[str, Any], *, html: bool
    ) -> tuple[str | None, str]:
        """Return subject and body rendered with ``values``, which must be plain JSON.

        Raises
        ------
        ServiceError
            ``variables_invalid``, ``template_syntax`` or ``render_limit_exceeded``.
        """
        answer = self._ask(
            {
                "operation": "render",
                "subject": subject,
                "body": body,
                "values": values,
                "html": html,
            }
        )
        return answer["subject"], answer["body"]

    def inspect(
        self, sources: Sequence[Mapping[str, Any]]
    ) -> tuple[dict[str, list[str]], list[Problem]]:
        """Compile sources; return the placeholders of each path, and what does not compile.

        Parameters
        ----------
        sources
            Each with ``path``, ``source``, ``html`` and ``subject`` (bool).
        """
        answer = self._ask({"operation": "inspect", "sources": sources})
        return answer["placeholders"], answer["problems"]

    def try_out(
        self, source: Mapping[str, Any], declared: Sequence[Mapping[str, Any]]
    ) -> Problem | None:
        """Return the problem of a trial render; see :func:`tasks.rendering.trial.try_out`."""
        request = {"operation": "try_out", "source": source, "declared": declared}
        problem: Problem | None = self._ask(request, renders=MOST_RENDERS)["problem"]
        return problem

    def optional(self, sources: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
        """Return the names that can be left out; see :func:`tasks.rendering.trial.optional`."""
        request = {"operation": "optional", "sources": sources, "names": names}
        found: list[str] = self._ask(request, renders=len(names) * len(sources))["names"]
        return found

    def _ask(self, request: Mapping[str, Any], *, renders: int = 1) -> dict[str, Any]:
        payload = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
        process = self._take()
        try:
            answer = process.ask(payload, renders)
        except BaseException:
            # A soft time limit may have come in between: what the pipe holds is unknown now.
            process.kill()
            raise
        if answer is None:
            raise self._limit_error(process.wait())
        self._give_back(process)
        if "error" in answer:
            raise _error(answer["error"])
        ok: dict[str, Any] = answer["ok"]
        return ok

    def _take(self) -> "_RenderProcess":
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                return _RenderProcess(self._limits)
            if process.is_alive():
                return process
            process.close()

    def _give_back(self, process: "_RenderProcess") -> None:
        with self._lock:
            self._idle.append(process)

    def _limit_error(self, status: int) -> Exception:
        limits = self._limits
        if status == -signal.SIGALRM:
            told = f"more than {limits.render_seconds:g} s"
        elif status == -signal.SIGABRT:
            return _error(memory_error(limits))
        elif status == -signal.SIGSEGV:
            told = "nested too deeply"
        elif status < 0:
            told = f"the render process was ended by {signal.Signals(-status).name}"
        else:
            return RenderProcessError(f"the render process ended with status {status}")
        return RenderLimitExceeded.of(
            f"the render was stopped: {told}", [{"path": "", "type": "limit", "message": told}]
        )


class _RenderProcess:
    """One process and its two pipes."""

    def __init__(self, limits: Limits) -> None:
        self._seconds = limits.render_seconds
        self._popen = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments of our own
            [sys.executable, "-m", "tasks.rendering.process", json.dumps(asdict(limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # No setting of the worker, its passwords least of all, where templates run.
            env={"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},  # noqa: PTH109 - a string is needed
            bufsize=0,
        )
        assert self._popen.stdin is not None  # noqa: S101 - for the type checker
        # A pipe holds less than a message may: a process that does not read must block nobody.
        os.set_blocking(self._popen.stdin.fileno(), False)
        ready = self._read(START_SECONDS)
        if ready is None:
            self.kill()
            raise RenderProcessError("the render process did not start")

    @property
    def pid(self) -> int:
        return self._popen.pid

    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def ask(self, payload: bytes, renders: int) -> dict[str, Any] | None:
        """Return the answer to a request of that many renders, or None when the process ended."""
        seconds = self._seconds * renders + GRACE_SECONDS
        if not self._write(HEADER.pack(len(payload)) + payload, seconds):
            return None
        return self._read(seconds)

    def wait(self) -> int:
        """Return the exit status, negative for a signal, and close the pipes."""
        with suppress(ProcessLookupError):
            if self._popen.poll() is None and not self._ended(GRACE_SECONDS):
                # It outlived its own timer: it was stopped (SIGSTOP), or the machine stood still.
                self._popen.send_signal(signal.SIGKILL)
        status = self._popen.wait()
        self._close_pipes()
        return status

    def close(self) -> None:
        self._close_pipes()
        if not self._ended(GRACE_SECONDS):
            self._popen.kill()
        self._popen.wait()

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()
        self._close_pipes()

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

    def _write(self, message: bytes, seconds: float) -> bool:
        """Write a message; tell whether it was taken whole, in time."""
        assert self._popen.stdin is not None  # noqa: S101 - for the type checker
        descriptor = self._popen.stdin.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        deadline = time.monotonic() + seconds
        rest = memoryview(message)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0 or not poll.poll(left * 1000):
                    return False
            except BrokenPipeError:
                return False
        return True

    def _read(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message, or None when there is none in time."""
        assert self._popen.stdout is not None  # noqa: S101 - for the type checker
        descriptor = self._popen.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        deadline = time.monotonic() + seconds
        received = bytearray()
        wanted = HEADER.size
        while len(received) < wanted:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return None
            # A request has one answer, so that whatever comes belongs to it.
            chunk = os.read(descriptor, CHUNK_BYTES)
            if not chunk:
                return None
            received += chunk
            if len(received) >= HEADER.size:
                wanted = HEADER.size + HEADER.unpack_from(received)[0]
        message: dict[str, Any] = json.loads(received[HEADER.size :])
        return message


_ERRORS: Final = {error.code: error for error in ServiceError.__subclasses__()}


def _error(triple: Sequence[Any]) -> ServiceError:
    code, message, details = triple
    return _ERRORS[code](code, message, details)
