"""Runtime of a worker process: database, render processes, broker, limits.

The composition root installs a function that creates it. A process creates its own on first use,
under the prefork pool after the fork: neither connections nor pipes survive one.
"""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import psycopg
from sqlalchemy.orm import Session, sessionmaker

from db.session import autocommitting, make_engine, make_sessions
from tasks.broker import Broker
from tasks.configuration import Configuration
from tasks.rendering.client import Renderer


class Runtime:
    """Engine, sessions, render processes and broker of this process.

    ``broker`` opens it for the maintenance that uses it, and may be left out where none does, as in
    the restore drill.
    """

    def __init__(
        self, configuration: Configuration, broker: Callable[[], Broker] | None = None
    ) -> None:
        self.configuration = configuration
        self._broker = broker
        self.engine = make_engine(configuration.database)
        self._writing: sessionmaker[Session] = make_sessions(self.engine)
        self._reading: sessionmaker[Session] = make_sessions(
            self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self.renderer = Renderer(configuration.limits)

    @property
    def broker(self) -> Broker:
        """The broker.

        Raises
        ------
        RuntimeError
            The runtime was created without one.
        """
        if self._broker is None:
            raise RuntimeError("this runtime has no broker")
        return self._broker()

    def writing(self) -> AbstractContextManager[Session]:
        """Return a session in which each statement sees the newest committed state."""
        return self._writing()

    def reading(self) -> AbstractContextManager[Session]:
        """Return a session whose statements all see one state."""
        return self._reading()

    def statements(self) -> AbstractContextManager[psycopg.Connection]:
        """Return a connection for single statements; each sees the newest state."""
        return autocommitting(self.engine)

    def close(self) -> None:
        """Close connections and render processes."""
        self.renderer.close()
        self.engine.dispose()


_lock = threading.Lock()
_make: Callable[[], Runtime] | None = None
_current: tuple[int, Runtime] | None = None


def install(make: Callable[[], Runtime]) -> None:
    """Set the function that makes the runtime of a process."""
    global _make  # noqa: PLW0603 - one per process, as is the Celery app
    _make = make


def current() -> Runtime:
    """Return this process's runtime, created on first use.

    Raises
    ------
    RuntimeError
        Nothing was installed: the tasks were imported without the worker's app.
    """
    global _current  # noqa: PLW0603 - one per process
    existing, pid = _current, os.getpid()
    if existing is not None and existing[0] == pid:
        return existing[1]
    with _lock:
        if _current is not None and _current[0] == pid:
            return _current[1]
        if _make is None:
            raise RuntimeError("no runtime is installed: import worker.app first")
        if _current is not None:
            # Made before a fork: the connections are the parent's, so they are not closed here.
            _current[1].engine.dispose(close=False)
        runtime = _make()
        _current = (pid, runtime)
        return runtime


def close() -> None:
    """Close this process's runtime, if it was created here."""
    global _current
    with _lock:
        existing, _current = _current, None
    if existing is not None and existing[0] == os.getpid():
        existing[1].close()
