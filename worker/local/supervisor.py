"""Whoever keeps a local stack running, in the foreground or detached, and those who ask for it.

``python -m worker.local.supervisor DESCRIPTOR`` is the detached one. It writes one line of JSON to
that file descriptor when everything answers or when it gave up.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from db.cluster.processes import (
    Identity,
    LocalServerError,
    private_directory,
    rotate,
    wait_until,
)
from worker.local.stack import DIRECTORY_VARIABLE, LocalStack, checkout, local_directory

WATCH_EVERY = 0.2
# Longer than the supervisor itself waits for workers, beat, Flower and the servers.
DOWN_TIMEOUT = 90.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class AlreadyRunningError(LocalServerError):
    """Another ``up`` runs in this directory."""


def run(directory: Path, ready: Callable[[LocalStack], None]) -> None:
    """Start the stack, call ``ready``, and keep the stack until a signal says to stop.

    SIGINT, SIGTERM and SIGHUP stop it, and the function returns when everything is gone.

    Raises
    ------
    AlreadyRunningError
        When another process does the same in ``directory``.
    LocalServerError
        When a part did not start, or ended by itself; nothing is left running.
    """
    cancel = threading.Event()
    with _locked(directory), _stopping(cancel):
        me = Identity.of(os.getpid())
        record = _record(directory)
        if me is not None:
            me.write(record)
        stack = LocalStack(directory, cancel=cancel)
        try:
            try:
                stack.start()
            except LocalServerError:
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
    """Start the stack under a supervisor of its own; return when every part answers.

    Raises
    ------
    AlreadyRunningError
        When another one runs in ``directory``.
    LocalServerError
        When a part did not start; nothing is left running.
    """
    private_directory(directory, 0o711 if os.geteuid() == 0 else 0o700)
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
                cwd=checkout(),
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
    if line:
        said = json.loads(line)
        if said["error"] is None:
            # It is meant to outlive this process, which has no reason to wait for it.
            child.returncode = 0
            return LocalStack(directory)
        child.wait()
        error = AlreadyRunningError if said["already"] else LocalServerError
        raise error(said["error"])
    child.wait()
    raise LocalServerError(f"it was stopped before everything answered; see {log}")


def down(directory: Path) -> bool:
    """Stop the stack of ``directory`` and wait until it is gone; tell whether one ran.

    What a killed supervisor left running counts, and is stopped.

    Raises
    ------
    LocalServerError
        When something does not end.
    """
    if not directory.exists():
        return False
    supervisor = supervising(directory)
    if supervisor is not None:
        supervisor.send(signal.SIGTERM)
        if not wait_until(lambda: not supervisor.alive(), DOWN_TIMEOUT, every=0.05):
            raise LocalServerError(
                f"the supervisor, process {supervisor.pid}, does not end; "
                f"see {directory / 'log' / 'up.log'}"
            )
    with _locked(directory):
        orphans = LocalStack(directory).stop_orphans()
        _record(directory).unlink(missing_ok=True)
    return supervisor is not None or orphans


def supervising(directory: Path) -> Identity | None:
    """Return the process that keeps the stack of ``directory`` running, or ``None``."""
    # The record is written and removed under the lock, and names one process for all time.
    return Identity.read(_record(directory))


@contextmanager
def permissions_explained() -> Iterator[None]:
    """Turn a :class:`PermissionError` into a :class:`LocalServerError` that says what to do."""
    try:
        yield
    except PermissionError as error:
        raise LocalServerError(
            f"{error.filename} belongs to another user: run this as that user, or choose another "
            f"folder with {DIRECTORY_VARIABLE}"
        ) from error


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    private_directory(directory, 0o711 if os.geteuid() == 0 else 0o700)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(f"a stack already runs in {directory}") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _stopping(cancel: threading.Event) -> Iterator[None]:
    # A flag rather than an exception, which could strike between starting a process and
    # writing down which one it is.
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
    def tell(error: LocalServerError | None) -> None:
        said = {
            "error": None if error is None else str(error),
            "already": isinstance(error, AlreadyRunningError),
        }
        os.write(descriptor, (json.dumps(said) + "\n").encode())
        os.close(descriptor)

    told = False

    def ready(_: LocalStack) -> None:
        nonlocal told
        tell(None)
        told = True

    try:
        with permissions_explained():
            run(directory, ready)
    except LocalServerError as error:
        sys.stderr.write(f"{error}\n")
        if not told:
            tell(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else local_directory()))
