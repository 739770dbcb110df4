"""PostgreSQL is silent (stopped, with its connections open): work goes on when it speaks again."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from db.cluster.processes import wait_until
from tests.factories import templates
from tests.support.producer import Producer
from tests.support.stacks import QUICK, small_stack
from worker.local import LocalStack

TRIES = QUICK | {"TEMPLATE_SERVICE_MAX_RETRIES": "20", "TEMPLATE_SERVICE_DB_CONNECT_TIMEOUT": "2"}
QUICK_STATEMENTS = TRIES | {"TEMPLATE_SERVICE_DB_STATEMENT_TIMEOUT": "1"}
QUICK_TASKS = TRIES | {
    "TEMPLATE_SERVICE_TASK_SOFT_TIME_LIMIT": "3",
    "TEMPLATE_SERVICE_LIMIT_TRANSLATIONS": "5",
}


@pytest.fixture
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalStack]:
    """Give a stack with the settings of a test."""
    with small_stack(tmp_path, environment=request.param) as stack:
        yield stack


@pytest.mark.parametrize(
    ("stack", "given_up"),
    [(QUICK_STATEMENTS, "retry: Retry in"), (QUICK_TASKS, "Soft time limit")],
    indirect=["stack"],
    ids=["given up by the client's clock", "given up at the limit of the task"],
)
def test_every_message_is_answered_once_after_the_database_responds_again(
    producer: Producer, stack: LocalStack, given_up: str
) -> None:
    """Those in the middle of a statement too; nobody's locks are left behind."""
    template = templates.published(producer, "Hello", type="sms")
    for _ in range(4):  # both pool processes have a connection
        producer.call("template.get", {"template_id": template})
    main = psutil.Process(stack.postgres.pid)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        writes = [
            producer.send("version.publish", {"template_id": template, "body": f"Hello {number}"})
            for number in range(10)
        ]
        renders = [producer.send("render.one", {"template_id": template}) for _ in range(10)]
        reads = [producer.send("template.get", {"template_id": template}) for _ in range(10)]
        log = stack.logs / "worker.log"
        assert wait_until(lambda: given_up in log.read_text(), 60)
        assert wait_until(lambda: log.read_text().count("retry: Retry in") >= 2, 60)
    finally:
        for process in processes:
            process.resume()
    versions = sorted(int(producer.answer(each, 60)["version"]) for each in writes)
    assert versions == [*range(2, 12)]
    assert all(producer.answer(each, 60)["body"].startswith("Hello") for each in renders)
    template_ids = [producer.answer(each, 60)["template"]["template_id"] for each in reads]
    assert template_ids == [template] * 10
    assert len(templates.versions(producer, template)) == 11
