"""Metrics: what is counted, and that nobody waits for a server that is silent."""

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tasks import facts
from tasks.errors import TemplateNotFound
from tasks.rendering import replaced
from tasks.work import Answer
from tests.support.cases import each
from worker import outcomes
from worker.metrics import health, prometheus_counts
from worker.metrics.exposition import registry
from worker.metrics.sampled import Sampled
from worker.metrics.server import MOST_REQUESTS, MetricsServer
from worker.setting_types import host_and_port
from worker.settings import from_environment

LATER = 10.0


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> prometheus_counts.Counts:
    """Count from 0."""
    fresh = prometheus_counts.Counts()
    monkeypatch.setattr(prometheus_counts, "_counts", fresh)
    return fresh


@pytest.fixture
def silent() -> Iterator[int]:
    """Give a port whose server takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def values(metric: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a metric by the values of its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in prometheus_counts.families()
        for sample in family.samples
        if sample.name == f"template_service_{metric}"
    }


def test_messages_are_counted_from_what_pool_processes_report(
    own: prometheus_counts.Counts,
) -> None:
    """By the facts in an answer's text, or attached to an error, as they come over the pipe."""
    answer = Answer({"template_id": "t", "type": "sms", "version": "2", "language": "en"})
    answer.notes["replaced"] = "limit:2,lost:1"
    known = facts.of_answer(repr(answer))
    prometheus_counts.finished("render.one", outcomes.SUCCEEDED, known, 0.003)
    batch = Answer({"template_id": "t", "type": "email", "rendered": 7, "failed": 2})
    prometheus_counts.finished(
        "render.batch", outcomes.SUCCEEDED, facts.of_answer(repr(batch)), 0.2
    )
    error = TemplateNotFound.named("t")
    facts.complete({"template_id": "t"}, error, time.monotonic())
    prometheus_counts.finished("render.one", outcomes.REFUSED, facts.of_error(error), 0.001)
    assert values("renders_total") == {
        ("render.one", "sms", "succeeded", ""): 1,
        ("render.batch", "email", "succeeded", ""): 1,
        ("render.one", "", "refused", "template_not_found"): 1,
    }
    assert values("batch_items_total") == {("email", "rendered"): 7, ("email", "failed"): 2}
    assert values("refusals_total") == {("render.one", "template_not_found"): 1}
    assert values("render_processes_replaced_total") == {("limit",): 2, ("lost",): 1}
    assert values("task_seconds_count") == {("render.one",): 2, ("render.batch",): 1}
    assert values("task_seconds_sum")["render.batch",] == pytest.approx(0.2)
    assert own.lost == 0


def test_a_retry_counts_no_code(own: prometheus_counts.Counts) -> None:
    """Although the error inside it has one: the message is not refused."""
    prometheus_counts.finished("render.one", outcomes.RETRIED, {"code": "unavailable"}, 0.1)
    assert values("renders_total") == {("render.one", "", "retried", ""): 1}
    assert own.refusals == {}


def test_replaced_render_processes_are_reported_once() -> None:
    """With the next message that the process finishes."""
    replaced.taken()
    replaced.count("limit")
    replaced.count("limit")
    assert facts.of_process() == {"replaced": "limit:2"}
    assert facts.of_process() == {}


@each(
    ("headers", "properties", "expected"),
    [
        ({}, {}, None),
        ({"timestamp_in_ms": 1500}, {}, 1.5),
        ({"timestamp_in_ms": "1500"}, {}, None),
        ({"timestamp_in_ms": True}, {"timestamp": True}, None),
        ({}, {"timestamp": 20}, 20.0),
        ({}, {"timestamp": datetime(1970, 1, 1, 0, 0, 20)}, 20.0),  # noqa: DTZ001 - as py-amqp
        ({"eta": "1970-01-01T00:01:00+00:00"}, {}, 60.0),
        ({"eta": "1970-01-01T00:01:00", "timestamp_in_ms": 1500}, {}, 60.0),
        ({"eta": "no time", "timestamp_in_ms": 1500}, {}, 1.5),
    ],
)
def test_the_time_of_sending(
    headers: dict[str, object], properties: dict[str, object], expected: float | None
) -> None:
    """From a header, or AMQP's property; a message cannot start before its ETA."""
    assert prometheus_counts.sent_at(headers, properties) == expected


def test_waits_are_counted_by_queue(own: prometheus_counts.Counts) -> None:
    """A queue that is none of this service's, which producers name, is no label."""
    prometheus_counts.started("render", None, received=100.0, now=100.5)
    prometheus_counts.started("render", 90.0, received=100.0, now=100.5)
    prometheus_counts.started("a name of somebody's", 200.0, received=100.0, now=100.5)
    assert values("queue_wait_seconds_sum") == {
        ("render", "received"): 0.5,
        ("render", "sent"): 10.5,
        ("other", "sent"): 0.0,
    }
    assert own.waits.keys() == {("render", "received"), ("render", "sent"), ("other", "sent")}


def test_who_asks_for_figures_does_not_wait_for_a_silent_server() -> None:
    """Older figures are shown while a new read is under way, by one thread at a time."""
    go_on = threading.Event()
    reads: list[int] = []

    def read() -> int:
        reads.append(len(reads))
        assert go_on.wait(LATER)
        return len(reads)

    figures = Sampled("server", read)
    assert figures.value(time.monotonic()) is None
    assert figures.value(time.monotonic() + 0.01) is None
    assert reads == [0]
    go_on.set()
    assert figures.value(time.monotonic() + LATER) == 1
    assert figures.value(time.monotonic() + LATER) == 1
    assert reads == [0]


def test_figures_that_cannot_be_read_are_unknown(caplog: pytest.LogCaptureFixture) -> None:
    """And the log says so."""

    def read() -> int:
        raise ConnectionError("to nobody")

    assert Sampled("broker", read).value(time.monotonic() + LATER) is None
    assert "metrics_unread source=broker error=ConnectionError" in caplog.text


def test_a_scrape_says_which_servers_are_silent(silent: int) -> None:
    """Its figures have no samples, and the rest of the metrics is there."""
    settings = from_environment(
        {
            "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{silent}/none",
            "CELERY_BROKER_URL": f"redis://127.0.0.1:{silent}/0",
            "CELERY_RESULT_BACKEND": f"redis://127.0.0.1:{silent}/1",
        }
    )
    found = {family.name: family.samples for family in registry(settings).collect()}
    readable = found["template_service_source_readable"]
    assert {sample.labels["source"]: sample.value for sample in readable} == {
        "broker": 0,
        "database": 0,
    }
    assert found["template_service_queue_ready"] == []
    assert found["template_service_build"] != []


class Slow(Collector):
    """A metric that takes as long as a test wants."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked = threading.Semaphore(0)

    def describe(self) -> list[Metric]:
        """Return nothing, so that it is not asked when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Wait."""
        self.asked.release()
        assert self.go_on.wait(LATER)
        yield from ()


def test_the_server_answers_health_checks_and_no_more_clients_than_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Clients beyond the limit are turned away; each that ends makes room."""
    # Another test of this process may have had an event loop, which would be found to hang.
    monkeypatch.setattr(health, "_health", health.Health(health.WORKER_SECONDS))
    metrics, slow = CollectorRegistry(), Slow()
    metrics.register(slow)
    server = MetricsServer("127.0.0.1", 0, metrics)
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _get(f"{address}/other")
        clients = [
            threading.Thread(target=_get, args=(f"{address}/metrics",))
            for _ in range(MOST_REQUESTS)
        ]
        for client in clients:
            client.start()
        for _ in clients:
            assert slow.asked.acquire(timeout=LATER)
        with pytest.raises(OSError):  # noqa: PT011 - closed or reset
            _get(f"{address}/healthz")
        slow.go_on.set()
        for client in clients:
            client.join(LATER)
        end = time.monotonic() + LATER
        answer = b""
        while not answer and time.monotonic() < end:
            with suppress(OSError):
                answer = _get(f"{address}/healthz")
        assert answer == b"waits for the broker\n"
    finally:
        server.shutdown()
        server.server_close()


def test_health_tells_a_hung_loop_from_a_lost_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart helps against the first only; neither gets messages."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    state = health.Health(silence=30)
    assert (state.alive().is_good, state.ready().is_good) == (True, False)
    state.turned()
    assert (state.alive(), state.ready()) == ((True, "ok"), (True, "ok"))
    now[0] += 31
    assert state.alive() == (False, "the event loop has hung for 31 s")
    state.turned("messages are in hand and make no progress")
    assert state.ready() == (False, "messages are in hand and make no progress")
    state.disconnected()
    assert (state.alive().is_good, state.ready().is_good) == (True, False)


def test_addresses_of_the_metrics() -> None:
    """A host, an IPv6 address in brackets, or every host."""
    assert host_and_port("127.0.0.1:9808") == ("127.0.0.1", 9808)
    assert host_and_port("[::1]:9808") == ("::1", 9808)
    assert host_and_port(":9808") == ("", 9808)
    for wrong in ("9808", "localhost", "localhost:", "::1:9808", "a b:1", "localhost:65536"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            host_and_port(wrong)


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=LATER) as page:  # noqa: S310 - loopback
        body: bytes = page.read()
    return body
