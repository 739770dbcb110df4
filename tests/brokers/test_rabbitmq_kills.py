"""A RabbitMQ that is killed, and started again: nothing is lost.

Each test has a node of its own. After a kill Debian's RabbitMQ 3.10.8 may elect no leader for a
quorum queue ("leader not known. Command will be forwarded once leader is known" in its log), and
confirms nothing that is published there until the queue is deleted and declared again. That would
be found by whichever test comes next.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.cluster.processes import Process, wait_until
from tests.brokers.conftest import TIMEOUT, VIRTUAL_HOSTS, Broker
from tests.brokers.load import UNTIL_BACK, grows, load
from tests.brokers.servers import RabbitMQ
from tests.factories import templates
from worker.local import LocalStack


@pytest.fixture
def killed(servers: LocalStack, tmp_path: Path) -> Iterator[Broker]:
    """Give the virtual host of a node of its own."""
    with RabbitMQ(tmp_path / "node", ["killed"]) as node:
        broker = Broker(node, servers, "killed", VIRTUAL_HOSTS["quorum"])
        yield broker
        broker.producer.close()


@pytest.fixture
def worker(killed: Broker, tmp_path: Path) -> Iterator[Process]:
    """Give its worker, which tries again for as long as a server is away."""
    settings = {
        "TEMPLATE_SERVICE_MAX_RETRIES": "60",
        "TEMPLATE_SERVICE_DB_CONNECT_TIMEOUT": "2",
        "TEMPLATE_SERVICE_DELIVERY_LIMIT": "1000",
    }
    with killed.working(tmp_path, **settings) as worker:
        yield worker


def test_nothing_is_lost_when_the_broker_is_killed_under_load(
    killed: Broker, worker: Process
) -> None:
    """What it has confirmed is there when it is back, and the same worker goes on."""
    process = worker.pid
    with load(killed.producer) as sent:
        for _ in range(2):
            assert grows(sent.reads)
            killed.node.kill()
            killed.node.start()
        assert grows(sent.reads)
    assert worker.pid == process


def test_messages_are_retried_while_postgresql_is_unavailable(
    killed: Broker, worker: Process, servers: LocalStack
) -> None:
    """The pool's processes publish them; their connections to a broker that was killed are gone."""
    producer = killed.producer
    template = templates.published(producer, "Hello", type="sms")
    for is_killed in (False, True):
        if is_killed:
            killed.node.kill()
            killed.node.start()
        before = worker.output().count("Retry in")
        servers.postgres.stop()
        try:
            message = {"template_id": template}
            sent = [
                producer.send("render.one", message, retry_policy=UNTIL_BACK) for _ in range(40)
            ]
            assert wait_until(lambda: worker.output().count("Retry in") >= before + 20, TIMEOUT)  # noqa: B023 - called at once
        finally:
            servers.postgres.start()
        assert {producer.answer(each, TIMEOUT)["body"] for each in sent} == {"Hello"}
    assert killed.waiting("render") == 0
