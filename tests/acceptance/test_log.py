"""The log of a worker answers what an operator asks: one event for each thing that happened."""

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.producer import Producer, RefusedError
from tests.support.stacks import small_stack
from worker.local import LocalStack

RECIPIENT = "recipient@example.org"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """Give a worker of one process, whose log nobody else writes to."""
    with small_stack(tmp_path / "stack", concurrency=1) as stack:
        yield stack


def test_the_log_has_the_documented_events_without_values(stack: LocalStack) -> None:
    """Dead letter, replaced render process, run of maintenance, counts; no value of a variable."""
    log = stack.logs / "worker.log"

    def event(pattern: str) -> bool:
        return wait_until(lambda: re.search(pattern, log.read_text()) is not None, 20)

    with Producer.of(stack) as producer:
        template = templates.published(producer, "Hello {{ name }}", type="sms")
        message = {"template_id": template, "variables": {"name": RECIPIENT}}
        producer.call("render.one", message)
        with pytest.raises(RefusedError):
            producer.call("render.one", {"template_id": template, "variables": {"nmae": "x"}})

        run_id = producer.send("maintenance.analyze", {})
        producer.answer(run_id)
        line = rf"maintenance_done task=maintenance\.analyze id={run_id} tables=\d+ seconds=\d"
        assert event(line)
        assert event(rf"maintenance\.analyze\[{run_id}\] succeeded in .*: <tables=\d+>")

        with pytest.raises(RefusedError):
            producer.call("no.such.task", {"name": RECIPIENT}, queue="render")
        assert event(r"dead_letter id=\S+ kind=unknown_task reason=")

        (render,) = [
            process
            for process in psutil.Process(stack.processes["worker"].pid).children(recursive=True)
            if "tasks.rendering.process" in process.cmdline()
        ]
        render.kill()
        assert wait_until(lambda: render.status() == psutil.STATUS_ZOMBIE, 10)
        producer.call("render.one", message)
        assert event(rf"render_process_replaced pid={render.pid} status=-9 cause=lost")

        def stats() -> list[dict[str, int]]:
            shown = producer.app.control.inspect(timeout=1).stats() or {}
            return [each["messages"]["render.one"] for each in shown.values()]

        expected = {"started": 3, "succeeded": 2, "refused": 1}
        assert wait_until(lambda: stats() == [expected], 20)
    stack.stop()
    counts = "started=3 succeeded=2 refused=1 retried=0 failed=0"
    assert f"task_counts task=render.one {counts}" in log.read_text()
    assert RECIPIENT not in log.read_text()
