"""The report as a file for Prometheus: node_exporter's textfile collector reads it.

https://github.com/prometheus/node_exporter#textfile-collector. What is unknown has no sample, so
that an alarm on ``absent(...)`` fires; ``template_service_report_time_seconds`` is the time at
which the file was last written.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from db.errors import OperationError
from tasks.messages.report import BrokerFigures, Report

PREFIX: Final = "template_service"
_OF_REPORT: Final = {
    "max_connections": "max_connections",
    "longest_query_seconds": "longest_query_seconds",
    "longest_transaction_seconds": "longest_transaction_seconds",
    "blocked_sessions": "blocked_sessions",
    "cache_hit_ratio": "cache_hit_ratio",
    "dead_rows": "dead_rows",
    "xid_age": "xid_age",
    "database_bytes": "database_bytes",
    "standby_lag_seconds": "standby_lag_seconds",
    "archived_age_seconds": "wal_archived_age_seconds",
    "backup_age_seconds": "backup_age_seconds",
    "backup_verified_age_seconds": "backup_verified_age_seconds",
    "base_backup_age_seconds": "base_backup_age_seconds",
    "recovery_earliest_age_seconds": "recovery_earliest_age_seconds",
    "recovery_latest_age_seconds": "recovery_latest_age_seconds",
    "recovery_gaps": "recovery_gaps",
    "recovery_proved_age_seconds": "recovery_proved_age_seconds",
    "recovery_drill_failed": "recovery_drill_failed",
}
"""The name of each metric by the field of the report that it shows."""
_OF_BROKER: Final = {
    name: name for name in ("dead_letters", "dead_letters_bytes", "dead_letters_oldest_age_seconds")
}
_OF_QUEUES: Final = {
    "ready": "Messages that wait on a queue.",
    "reserved": "Messages of a queue that workers hold.",
    "delayed": "Messages of a queue that wait on the broker for their time.",
}


def write(report: Report, path: str) -> None:
    """Write the report to ``path`` atomically.

    Raises
    ------
    OperationError
        ``metrics_unwritable``.
    """
    registry = CollectorRegistry()
    registry.register(_Metrics(report))
    try:
        write_to_textfile(path, registry)
    except OSError as error:
        raise OperationError(
            "metrics_unwritable",
            f"the metrics file {path} cannot be written: {error.strerror}",
            "check the directory in TEMPLATE_SERVICE_METRICS_FILE",
        ) from None


class _Metrics(Collector):
    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        yield from of_report(self._report)
        yield from of_broker(self._report)


def of_report(report: Report, later: float = 0.0) -> Iterator[Metric]:
    """Yield the metrics of database and dumps.

    Parameters
    ----------
    later
        Seconds that have passed since the report was taken: its ages have grown by them.
    """
    yield from _single(report, _OF_REPORT, later)
    yield GaugeMetricFamily(
        f"{PREFIX}_report_time_seconds",
        "When these figures were taken, in seconds since 1970.",
        value=report.at.timestamp(),
    )
    yield CounterMetricFamily(
        f"{PREFIX}_wal_archive_failures",
        "Failed tries to archive WAL since the statistics were reset.",
        value=report.archive_failures,
    )
    yield _labelled(
        "report_unknown",
        "What the report could not read: 1 for each part and reason.",
        "part",
        dict.fromkeys(report.unknown, 1),
    )
    yield _labelled("connections", "Sessions of clients by state.", "state", report.connections)
    yield _labelled("table_bytes", "Disk space.", "table", report.table_bytes or {})
    yield _labelled(
        "slot_retained_bytes",
        "WAL kept for each replication slot.",
        "slot",
        report.slot_retained_bytes,
    )
    yield _labelled(
        "replica_lag_bytes",
        "WAL that a standby has not applied.",
        "replica",
        {name: replica.lag_bytes for name, replica in report.replicas.items()},
    )
    yield _labelled(
        "replica_lag_seconds",
        "Time that a standby took to apply the last commit.",
        "replica",
        {name: replica.lag_seconds for name, replica in report.replicas.items()},
    )
    yield _labelled(
        "unconsumed_messages",
        "Task messages on a queue of the broker that no worker consumes.",
        "queue",
        report.unconsumed or {},
    )
    yield _labelled(
        "failed_run_age_seconds",
        "Since the newest run of a maintenance task failed.",
        "task",
        {name: age + later for name, age in report.failed_runs.items()},
    )


def of_broker(figures: BrokerFigures) -> Iterator[Metric]:
    """Yield the metrics of queues and dead letters; without figures they have no samples."""
    yield from _single(figures, _OF_BROKER, 0.0)
    dropped = CounterMetricFamily(
        f"{PREFIX}_dead_letters_dropped",
        "Dead letters that were dropped because there were too many.",
    )
    if figures.dead_letters_dropped is not None:
        dropped.add_metric([], figures.dead_letters_dropped)
    yield dropped
    queues = figures.queues or {}
    for name, words in _OF_QUEUES.items():
        values = {queue: getattr(each, name) for queue, each in queues.items()}
        yield _labelled(f"queue_{name}", words, "queue", values)


def _single(
    figures: BrokerFigures, names: Mapping[str, str], later: float
) -> Iterator[GaugeMetricFamily]:
    """Yield the metrics of fields that hold one number."""
    for field, name in names.items():
        words = str(type(figures).model_fields[field].description)
        value = getattr(figures, field)
        if value is not None and field.endswith("_age_seconds"):
            value += later
        yield gauge(name, words, [], {(): value})


def _labelled(
    name: str, words: str, label: str, values: Mapping[str, float | None]
) -> GaugeMetricFamily:
    return gauge(name, words, [label], {(key,): value for key, value in values.items()})


def gauge(
    name: str, words: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float | None]
) -> GaugeMetricFamily:
    """Return a gauge with a sample for each known value."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", words, labels=labels)
    for key, value in values.items():
        if value is not None:
            family.add_metric(key, value)
    return family
