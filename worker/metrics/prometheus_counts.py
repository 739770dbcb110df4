"""Counts of messages for Prometheus, in the worker's main process.

A pool process reports each message with its facts (:mod:`tasks.facts`), so no process but the main
one counts, and no files are shared. Counting a message takes a few microseconds: plain counters and
histograms under one lock, which the metrics are made from when they are asked for.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from tasks import facts as known_facts
from tasks.services.metrics import PREFIX
from worker import outcomes
from worker.queues import QueueName

# A render takes 1 ms, a message at most the time limit of 30 s, maintenance half an hour.
SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
)
SENT_AT: Final = "timestamp_in_ms"
"""Header with the time of sending, in milliseconds since 1970; RabbitMQ's interceptor sets it."""
_QUEUES: Final = frozenset(queue.value for queue in QueueName)


class Histogram:
    """Observations in seconds, in the buckets of :data:`SECONDS`."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Add an observation; the caller holds the lock."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative buckets."""
        so_far = 0
        rows = []
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self.counts, strict=True):
            so_far += count
            rows.append((bound, float(so_far)))
        return rows


@dataclass(slots=True)
class Counts:
    """Everything that is counted since the start of the process."""

    renders: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """By task, template type, outcome and error code."""
    items: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Items of batches by template type and outcome."""
    refusals: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """By task and error code."""
    replaced: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Render processes by the cause of their end."""
    letters: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Dead letters by kind."""
    lost: int = 0
    """Pool processes that died with a message."""
    durations: dict[tuple[str, ...], Histogram] = field(default_factory=dict)
    waits: dict[tuple[str, ...], Histogram] = field(default_factory=dict)


_lock = threading.Lock()
_counts = Counts()


def started(queue: object, sent: float | None, received: float, now: float) -> None:
    """Count the wait of a message that a process has started; times are seconds since 1970.

    Parameters
    ----------
    sent
        When it could first be worked on; None if unknown.
    received
        When this worker received it.
    """
    name = queue if isinstance(queue, str) and queue in _QUEUES else "other"
    key = (name, "received" if sent is None else "sent")
    seconds = max(0.0, now - (received if sent is None else sent))
    with _lock:
        if (histogram := _counts.waits.get(key)) is None:
            histogram = _counts.waits[key] = Histogram()
        histogram.observe(seconds)


def finished(task: str, outcome: str, facts: Mapping[str, Any], seconds: float) -> None:
    """Count a message that has ended, with its facts."""
    with _lock:
        if (histogram := _counts.durations.get((task,))) is None:
            histogram = _counts.durations[task,] = Histogram()
        histogram.observe(seconds)
        code = str(facts.get("code", "")) if outcome != outcomes.RETRIED else ""
        if code:
            _counts.refusals[task, code] += 1
        if task.startswith("render."):
            kind = str(facts.get("type", ""))
            _counts.renders[task, kind, outcome, code] += 1
            if "rendered" in facts:
                _counts.items[kind, "rendered"] += int(facts["rendered"])
                _counts.items[kind, "failed"] += int(facts["failed"])
        if known_facts.REPLACED in facts:
            for each in facts[known_facts.REPLACED].split(","):
                cause, _, number = each.partition(":")
                _counts.replaced[cause,] += int(number)


def lost_process() -> None:
    """Count a pool process that died with a message."""
    with _lock:
        _counts.lost += 1


def dead_letter(kind: str) -> None:
    """Count a message that this worker has made a dead letter."""
    with _lock:
        _counts.letters[kind,] += 1


def sent_at(headers: Mapping[str, Any], properties: Mapping[str, Any]) -> float | None:
    """Return when a message was sent, or its ETA if that is later; None if it has neither."""
    sent: float | None = None
    stamp, second = headers.get(SENT_AT), properties.get("timestamp")
    if isinstance(stamp, int | float) and not isinstance(stamp, bool):
        sent = stamp / 1000
    elif isinstance(second, datetime):  # py-amqp's, in UTC
        sent = second.replace(tzinfo=UTC).timestamp()
    elif isinstance(second, int | float) and not isinstance(second, bool):
        sent = float(second)
    if not isinstance(eta := headers.get("eta"), str):
        return sent
    try:
        due = datetime.fromisoformat(eta)
    except ValueError:
        return sent
    at = (due if due.tzinfo else due.replace(tzinfo=UTC)).timestamp()
    # A message that is retried keeps the header of its first sending.
    return at if sent is None else max(sent, at)


def families() -> Iterator[Metric]:
    """Yield the metrics."""
    with _lock:
        waits = {key: (each.buckets(), each.total) for key, each in _counts.waits.items()}
        durations = {key: (each.buckets(), each.total) for key, each in _counts.durations.items()}
        renders, items = dict(_counts.renders), dict(_counts.items)
        refusals, lost = dict(_counts.refusals), _counts.lost
        replaced, letters = dict(_counts.replaced), dict(_counts.letters)
    totals: dict[tuple[str, ...], float] = {
        (task, outcome): number
        for task, numbers in outcomes.totals().items()
        for outcome, number in numbers.items()
    }
    yield counter("messages", "Messages by task and outcome.", ("task", "outcome"), totals)
    yield counter(
        "renders",
        "Messages of render.* by template type, outcome and error code.",
        ("task", "type", "outcome", "code"),
        renders,
    )
    yield counter(
        "batch_items", "Items of render.batch by template type.", ("type", "outcome"), items
    )
    yield counter("refusals", "Refused messages by error code.", ("task", "code"), refusals)
    yield histogram(
        "task_seconds", "Time that a pool process works on a message.", ("task",), durations
    )
    yield histogram(
        "queue_wait_seconds",
        "Time from sending a message until a process starts it; from its receipt by this worker "
        "if the message has no time of sending.",
        ("queue", "since"),
        waits,
    )
    yield counter(
        "dead_lettered_messages", "Messages that became dead letters.", ("kind",), letters
    )
    yield counter("pool_processes_lost", "Pool processes that died with a message.", (), {(): lost})
    yield counter(
        "render_processes_replaced",
        "Render processes replaced: over a limit, full, lost or interrupted.",
        ("cause",),
        replaced,
    )


def counter(
    name: str, words: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    """Return a counter with a sample for each key of ``values``."""
    family = CounterMetricFamily(f"{PREFIX}_{name}", words, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


def histogram(
    name: str,
    words: str,
    labels: Sequence[str],
    values: Mapping[tuple[str, ...], tuple[list[tuple[str, float]], float]],
) -> Metric:
    """Return a histogram with the buckets and the sum of each key of ``values``."""
    family = HistogramMetricFamily(f"{PREFIX}_{name}", words, labels=labels)
    for key, (buckets, total) in sorted(values.items()):
        family.add_metric(key, buckets, total)
    return family
