"""The metrics of a process: its own counters, and the figures of broker and database."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Final, NamedTuple

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
)
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import ValidationError

from db import migrations, runs
from db.monitoring.reader import Row, reading
from db.runs import Ended
from db.session import make_engine
from tasks.jobs import JOBS, REPORT
from tasks.messages.report import BrokerFigures, Report
from tasks.services.metrics import PREFIX, gauge, of_broker, of_report
from worker.backlog import broker_figures
from worker.broker import connection
from worker.configuration import configuration
from worker.metrics import prometheus_counts
from worker.metrics.ages import Ages
from worker.metrics.sampled import Sampled
from worker.settings import Settings

WAIT_SECONDS: Final = 1.0
"""How long a scrape waits for broker and database together; Prometheus waits for 10 s."""
DATABASE_SECONDS: Final = 2
"""Timeout of the connection and of each statement."""


class DatabaseFigures(NamedTuple):
    """State of the database: maintenance, the last report, and sessions."""

    ended: Sequence[Ended]
    report: Report | None
    sessions: Sequence[Row]


class Broker(NamedTuple):
    """State of the broker; ages are seconds by queue and state."""

    figures: BrokerFigures
    ages: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Pool:
    """A worker's pool at one moment: processes, those that work, and messages reserved."""

    processes: int
    busy: int
    reserved: int


def registry(settings: Settings, pool: Callable[[], Pool] | None = None) -> CollectorRegistry:
    """Return the metrics of this process.

    Parameters
    ----------
    pool
        The worker's process pool; None in beat.
    """
    metrics = CollectorRegistry()
    # Memory, processor time and open files of the process, by the names that dashboards know.
    for own in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        metrics.register(own)
    metrics.register(_Process(pool))
    metrics.register(_Servers(settings))
    return metrics


class _Process(Collector):
    """Figures that this process has itself."""

    def __init__(self, pool: Callable[[], Pool] | None) -> None:
        self._pool = pool

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        build = {"version": version("template-service"), "revision": migrations.head()}
        yield InfoMetricFamily(
            f"{PREFIX}_build", "Version of the service, and its newest migration.", value=build
        )
        if self._pool is None:
            return
        now = self._pool()
        yield gauge(
            "pool_processes",
            "Pool processes of this worker.",
            ["state"],
            {("busy",): now.busy, ("idle",): max(0, now.processes - now.busy)},
        )
        words = "Messages that this worker holds, running ones too."
        yield gauge("worker_reserved", words, [], {(): now.reserved})
        yield from prometheus_counts.families()


class _Servers(Collector):
    """State of broker and database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ages = Ages()
        self._broker = Sampled("broker", self._read_broker)
        self._database = Sampled("database", lambda: _database(settings))

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        deadline = time.monotonic() + WAIT_SECONDS
        self._broker.ask()
        database = self._database.value(deadline)
        broker = self._broker.value(deadline)
        yield gauge(
            "source_readable",
            "Whether the server's figures are shown: 0 if it does not answer or refuses.",
            ["source"],
            {("broker",): broker is not None, ("database",): database is not None},
        )
        yield from of_broker(broker.figures if broker else BrokerFigures())
        yield gauge(
            "queue_oldest_age_seconds",
            "Age of the oldest message of a queue: ready, at least that, or reserved, since it was "
            "taken.",
            ["queue", "state"],
            dict(sorted(broker.ages.items())) if broker else {},
        )
        if database is None:
            return
        yield from _of_runs(database.ended)
        yield gauge(
            "database_sessions",
            "Database connections of the processes of this service: pool use.",
            ["application", "state"],
            {(row["application"], row["state"]): row["sessions"] for row in database.sessions},
        )
        if database.report is not None:
            at = database.report.at.timestamp()
            yield from of_report(database.report, max(0.0, time.time() - at))

    def _read_broker(self) -> Broker:
        with connection(self._settings) as opened:
            ages = self._ages.read(opened)
        return Broker(broker_figures(connection(self._settings)), ages)


def _database(settings: Settings) -> DatabaseFigures:
    # A role that may maintain the database, or the workers' own: both may read these.
    address = replace(
        configuration(settings).maintenance,
        statement_timeout=DATABASE_SECONDS,
        connect_timeout=DATABASE_SECONDS,
        pool_size=1,
        max_overflow=0,
    )
    engine = make_engine(address, application_name="template-service metrics")
    try:
        with reading(engine) as reader:
            stored = runs.last_result(reader.connection, REPORT)
            return DatabaseFigures(
                runs.ended(reader.connection, [job.name for job in JOBS]),
                _report(stored),
                reader.rows("service_sessions"),
            )
    finally:
        engine.dispose()


def _report(stored: object) -> Report | None:
    """Return the stored report; None if there is none, or another version wrote it."""
    try:
        return None if stored is None else Report.model_validate(stored)
    except ValidationError:
        return None


def _of_runs(ended: Sequence[Ended]) -> Iterator[Metric]:
    yield gauge(
        "maintenance_last_outcome",
        "1 for the outcome of the newest run that has ended: done, failed or skipped; error is the "
        "code of a failure.",
        ["task", "outcome", "error"],
        {(run.task, run.state, run.error or ""): 1 for run in ended},
    )
    yield gauge(
        "maintenance_last_seconds",
        "Duration of that run.",
        ["task"],
        {(run.task,): run.seconds for run in ended},
    )
    yield gauge(
        "maintenance_last_age_seconds",
        "Time since its end.",
        ["task"],
        {(run.task,): run.age for run in ended},
    )
    yield gauge(
        "maintenance_done_age_seconds",
        "Time since the end of the newest run that succeeded.",
        ["task"],
        {(run.task,): run.done_age for run in ended},
    )
