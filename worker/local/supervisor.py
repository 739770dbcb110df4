"""The supervisor of a local stack, in the foreground or detached, and commands to it.

``python -m worker.local.supervisor DESCRIPTOR`` is the detached one. It writes one line of JSON to
that file descriptor when everything answers or when the start failed.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from db.cluster.processes import Identity, private_directory, rotate, wait_until
from db.errors import Kind, OperationError
from worker.directories import DIRECTORY_VARIABLE, code_directory, local_directory
from worker.local.server import lock_directory
from worker.local.stack import LocalStack, stack_directory

WATCH_EVERY: Final = 0.2
# Longer than the supervisor itself waits for workers, beat, Flower and the servers.
DOWN_TIMEOUT: Final = 90.0
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ALREADY_RUNNING: Final = "already_running"


class AlreadyRunningError(OperationError):
    """Another ``up`` runs in this directory."""


def run(directory: Path, ready: Callable[[LocalStack], None]) -> None:
    """Start the stack, call ``ready``, and keep the stack running until a signal.

    SIGINT, SIGTERM and SIGHUP stop it, and the function returns when everything is gone.

    Raises AlreadyRunningError: another process does the same in ``directory``.
    Raises OperationError: a part did not start, or ended by itself; nothing is left running.
    """
    cancel = threading.Event()
    with _locked(directory), _stop_signals(cancel):
        me = Identity.of(os.getpid())
        record = _record(directory)
        if me is not None:
            me.write(record)
        stack = LocalStack(directory, cancel=cancel)
        try:
            try:
                stack.start()
            except OperationError:
                if cancel.is_set():
                    return
                raise
            ready(stack)
            while not cancel.wait(WATCH_EVERY):
                failure = stack.failed()
                if failure is not None:
                    raise failure
        finally:
            stack.stop()
            record.unlink(missing_ok=True)


def detach(directory: Path) -> LocalStack:
    """Start the stack with a detached supervisor; return when every part answers.

    Raises AlreadyRunningError: another one runs in ``directory``.
    Raises OperationError: a part did not start; nothing is left running.
    """
    stack_directory(directory)
    log = private_directory(directory / "log") / "up.log"
    rotate(log)
    reader, writer = os.pipe()
    with os.fdopen(reader) as answer:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            child = subprocess.Popen(  # noqa: S603 - this very module
                [sys.executable, "-m", "worker.local.supervisor", str(writer), str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                pass_fds=[writer],
                cwd=code_directory(),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
            os.close(writer)
        try:
            line = answer.readline()
        except KeyboardInterrupt:
            child.terminate()
            child.wait()
            raise
    error = json.loads(line) if line else None
    if line and error is None:
        # The supervisor outlives this process: mark it as waited for, or Popen would warn.
        child.returncode = 0
        return LocalStack(directory)
    child.wait()
    if error is None:
        raise OperationError(
            Kind.SERVER_FAILED, "the stack was stopped before everything answered", f"see {log}"
        )
    is_running = error["kind"] == _ALREADY_RUNNING
    raise (AlreadyRunningError if is_running else OperationError)(**error)


def down(directory: Path) -> bool:
    """Stop the stack of ``directory`` and wait until it is gone; return whether one ran.

    Processes that a killed supervisor left running are stopped too.

    Raises OperationError: ``server_failed``: a process does not end.
    """
    if not directory.exists():
        return False
    supervisor = supervising(directory)
    if supervisor is not None:
        supervisor.send(signal.SIGTERM)
        if not wait_until(lambda: not supervisor.alive(), DOWN_TIMEOUT, every=0.05):
            raise OperationError(
                Kind.SERVER_FAILED,
                f"the supervisor, process {supervisor.pid}, did not stop",
                f"see {directory / 'log' / 'up.log'}",
            )
    with _locked(directory):
        orphans = LocalStack(directory).stop_orphans()
        _record(directory).unlink(missing_ok=True)
    return supervisor is not None or orphans


def supervising(directory: Path) -> Identity | None:
    """Return the supervisor of the stack of ``directory``, or ``None``."""
    # The record is written and removed under the lock, and an identity is never reused.
    return Identity.read(_record(directory))


@contextmanager
def permissions_explained() -> Iterator[None]:
    """Turn a :class:`PermissionError` into an :class:`OperationError` with a remedy."""
    try:
        yield
    except PermissionError as error:
        raise OperationError(
            Kind.PERMISSION_DENIED,
            f"{error.filename} belongs to another user",
            f"run this as that user, or choose another directory with {DIRECTORY_VARIABLE}",
        ) from error


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = lock_directory(stack_directory(directory))
    if descriptor is None:
        raise AlreadyRunningError(
            _ALREADY_RUNNING,
            f"a stack already runs in {directory}, or is just starting or stopping",
            "stop it: template-service down",
        )
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _stop_signals(cancel: threading.Event) -> Iterator[None]:
    # A flag rather than an exception, which could strike between starting a process and
    # recording its identity.
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: cancel.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _record(directory: Path) -> Path:
    return directory / "supervisor"


def _main(descriptor: int, directory: Path) -> int:
    def report(error: OperationError | None) -> None:
        fields = ("kind", "message", "remedy")
        answer = None if error is None else {name: getattr(error, name) for name in fields}
        os.write(descriptor, (json.dumps(answer) + "\n").encode())
        os.close(descriptor)

    reported = False

    def ready(_: LocalStack) -> None:
        nonlocal reported
        report(None)
        reported = True

    try:
        with permissions_explained():
            run(directory, ready)
    except OperationError as error:
        sys.stderr.write(f"{error}\n")
        if not reported:
            report(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else local_directory()))
