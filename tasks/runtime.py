"""Runtime of a worker process: database, render processes, broker, limits.

The composition root installs a function that creates it. A process creates its own on first use,
under the prefork pool after the fork: neither connections nor pipes survive one.
"""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import psycopg
from sqlalchemy.orm import Session, sessionmaker

from db.backup.policy import BackupPolicy
from db.cluster.programs import Programs
from db.commands.core import Client
from db.recovery.policy import RecoveryPolicy
from db.session import Database, autocommitting, make_engine, make_sessions
from tasks.broker import Broker
from tasks.rendering.client import Renderer
from tasks.rendering.limits import Limits


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries of a message while a server is unavailable. Times are seconds."""

    most: int = 8
    backoff: float = 0.5
    longest: float = 8


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """Retention of maintenance."""

    purge_after_days: int = 30
    keep_versions: int = 10
    keep_records_days: int = 30
    batch: int = 500


@dataclass(frozen=True, slots=True)
class Operations:
    """Settings of database operations.

    Attributes
    ----------
    url
        The database, as a role that may maintain it; empty for the one of the tasks.
    programs
        Folder of PostgreSQL's programs; empty for those of the wheel.
    metrics_file
        File that ``maintenance.report`` writes for Prometheus; empty for none.
    """

    url: str = ""
    programs: str = ""
    metrics_file: str = ""
    backup: BackupPolicy = field(default_factory=BackupPolicy)
    recovery: RecoveryPolicy = field(default_factory=RecoveryPolicy)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Configuration of a :class:`Runtime`: plain values, safe to carry over a fork."""

    database: Database
    limits: Limits = field(default_factory=Limits)
    default_language: str = "en"
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    housekeeping: Housekeeping = field(default_factory=Housekeeping)
    operations: Operations = field(default_factory=Operations)

    @property
    def maintenance(self) -> Database:
        """The database as maintenance uses it: its own role, and no statement timeout."""
        url = self.operations.url or self.database.url
        return replace(self.database, url=url, statement_timeout=0)

    @property
    def client(self) -> Client:
        """PostgreSQL's programs, connected as maintenance is."""
        return Client(Programs.chosen(self.operations.programs), self.maintenance.url)


class Runtime:
    """Engine, sessions, render processes and broker of this process.

    ``broker`` may be left out where no maintenance needs one, as in the restore drill.
    """

    def __init__(self, configuration: Configuration, broker: Broker | None = None) -> None:
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
        return self._broker

    def writing(self) -> AbstractContextManager[Session]:
        """Return a session in which each statement sees the newest committed state."""
        return self._writing()

    def reading(self) -> AbstractContextManager[Session]:
        """Return a session whose statements all see one state."""
        return self._reading()

    def statements(self) -> AbstractContextManager[psycopg.Connection]:
        """Return a connection for single statements, each of which sees the newest state."""
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
