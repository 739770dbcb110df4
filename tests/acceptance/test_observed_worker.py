"""A worker with a log as JSON, traces and metrics tells everything but values."""

import json
import os
import secrets
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.documents import blocks
from tests.support.producer import Producer, RefusedError
from tests.support.stacks import small_stack
from worker.local import LocalStack
from worker.local.server import free_port

TIMEOUT: Final = 60
RECIPIENT: Final = "secret-recipient@example.org"

LIMIT: Final = "render_limit_exceeded"
_RENDERS: Final = "template_service_renders_total"
COUNTED: Final = (
    f'{_RENDERS}{{code="",outcome="succeeded",task="render.one",type="email"}} 1.0',
    f'{_RENDERS}{{code="variables_invalid",outcome="refused",task="render.one",type="email"}} 1.0',
    f'{_RENDERS}{{code="{LIMIT}",outcome="refused",task="render.one",type="sms"}} 1.0',
)


class Collector(ThreadingHTTPServer):
    """Receives spans as OpenTelemetry's collector does."""

    daemon_threads = True

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        received = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def spans(self, name: str) -> list[Any]:
        """Return the spans of that name."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if span.name == name
        ]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """Give servers without a worker."""
    with small_stack(tmp_path / "stack", workers=0) as stack:
        yield stack


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Give a collector of spans."""
    with Collector() as server:
        yield server
        server.shutdown()


def test_a_worker_tells_everything_but_values(
    stack: LocalStack, collector: Collector, checkout: Path, tmp_path: Path
) -> None:
    """The command of docs/monitoring.md, with a log as JSON: ids and codes are everywhere."""
    (block,) = (
        each for each in blocks(checkout / "docs" / "monitoring.md") if each.role == "tracing"
    )
    port = free_port()
    errors = tmp_path / "stderr"
    with errors.open("wb") as file:
        worker = subprocess.Popen(
            ["/bin/sh", "-ec", block.text.replace(":4318", f":{collector.server_port}")],
            cwd=checkout,
            env={
                **stack.environment(),
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "OTEL_BSP_SCHEDULE_DELAY": "100",
                "TEMPLATE_SERVICE_LOG_FORMAT": "json",
                "TEMPLATE_SERVICE_METRICS_ADDRESS": f"127.0.0.1:{port}",
            },
            stdout=subprocess.PIPE,
            stderr=file,
        )
    try:
        with Producer.of(stack) as producer:
            trace_id, parent = secrets.token_hex(16), secrets.token_hex(8)
            ids = _send(producer, f"00-{trace_id}-{parent}-01")
        assert wait_until(lambda: len(collector.spans("run/render.one")) == 3, TIMEOUT)
        address = f"http://127.0.0.1:{port}/metrics"
        # The main process counts a message after its answer is stored.
        assert wait_until(lambda: all(line in _page(address) for line in COUNTED), TIMEOUT)
        metrics = _page(address)
    finally:
        worker.terminate()
        output, _ = worker.communicate(timeout=TIMEOUT)
    log = errors.read_text()
    assert output == b""
    for text in (*collector.bodies, log.encode(), metrics.encode()):
        assert RECIPIENT.encode() not in text
    _check_spans(collector, trace_id, parent)
    _check_log(log, ids)


def _send(producer: Producer, traceparent: str) -> dict[str, str]:
    """Send a render that succeeds and two that are refused; return the ids of the tasks."""
    template = templates.published(producer, "<p>{{ name }}</p>", type="email", subject="For you")
    loop = templates.published(
        producer,
        "{% for a in range(n) %}{% for b in range(n) %}{% for c in range(n) %}{% endfor %}"
        "{% endfor %}{% endfor %}{{ n }}",
        type="sms",
        variables=[{"name": "n", "type": "integer", "example": 2}],
    )
    ids = {}
    for name, template_id, variables in (
        ("succeeded", template, {"name": RECIPIENT}),
        ("refused", template, {RECIPIENT[:6]: RECIPIENT}),
        ("limit", loop, {"n": 5000}),
    ):
        sent = producer.app.send_task(
            "render.one",
            kwargs={"template_id": template_id, "variables": variables},
            queue="render",
            headers={"traceparent": traceparent},
        )
        ids[name] = sent.id
        try:
            producer.answer(sent.id, TIMEOUT)
        except RefusedError as error:
            ids[name] += f" {error.code}"
    return ids


def _check_spans(collector: Collector, trace_id: str, parent: str) -> None:
    """Check that the parent is the producer's, and SQL is below the span of the message."""
    spans = collector.spans("run/render.one")
    assert {span.trace_id.hex() for span in spans} == {trace_id}
    assert {span.parent_span_id.hex() for span in spans} == {parent}
    below = [span for span in collector.spans("SELECT") if span.trace_id.hex() == trace_id]
    assert {span.parent_span_id for span in below} <= {span.span_id for span in spans}
    assert len(below) >= 3


def _check_log(log: str, ids: dict[str, str]) -> None:
    """Check that each line is a JSON object, one for each message with its facts."""
    lines = [json.loads(line) for line in log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert [line for line in lines if "traceback" in line or "Traceback" in line["message"]] == []
    messages = {line["id"]: line for line in lines if line.get("task") and "id" in line}
    done = messages[ids["succeeded"]]
    assert (done["event"], done["type"], done["version"]) == ("task_succeeded", "email", "1")
    assert (done["language"], done["milliseconds"] > 0) == ("en", True)
    for name, kind in (("refused", "email"), ("limit", "sms")):
        task_id, code = ids[name].split()
        refused = messages[task_id]
        assert (refused["event"], refused["code"], refused["type"]) == ("task_refused", code, kind)
        assert (refused["template_id"] != "", refused["version"]) == (True, "1")
        assert refused["milliseconds"] > 0


def _page(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as page:  # noqa: S310 - loopback
        text: str = page.read().decode()
    return text
