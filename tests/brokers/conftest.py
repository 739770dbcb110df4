"""Debian's brokers and workers on them: what `make test-brokers` runs on."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import amqp
import pytest
from click.testing import CliRunner, Result
from kombu import Connection, Queue

from db.cluster.processes import Process, wait_until
from tests.brokers.servers import NARROW, RabbitMQ
from tests.support.documents import blocks
from tests.support.producer import Producer
from tests.support.stacks import QUICK
from worker import rabbitmq
from worker.cli import main
from worker.directories import code_directory
from worker.local import LocalStack
from worker.local.stack import QUEUES
from worker.settings import load

STOCK: Final = "kombu.transport.pyamqp:Transport"
"""kombu's own transport, which producers use."""
# As long as a busy machine needs.
TIMEOUT: Final = 60.0


class Broker:
    """A virtual host of a RabbitMQ, with the settings that a worker has for it."""

    def __init__(
        self, node: RabbitMQ, servers: LocalStack, name: str, settings: Mapping[str, str]
    ) -> None:
        self.node = node
        self.servers = servers
        self.name = name
        self.url = node.url_of(name, settings.get("USER", "service"))
        self.settings = {key: value for key, value in settings.items() if key != "USER"}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the service's processes."""
        return {
            **self.servers.environment(),
            **QUICK,
            "CELERY_BROKER_URL": self.url,
            **self.settings,
        }

    @cached_property
    def producer(self) -> Producer:
        """A producer that has its messages confirmed, and declares no queue.

        There is one, since kombu has one pool of connections for an address in a process.
        """
        producer = Producer(self.url, self.environment["CELERY_RESULT_BACKEND"])
        producer.app.conf.update(
            broker_transport=STOCK,
            broker_transport_options={"confirm_publish": True},
            task_queues=[Queue(name, no_declare=True) for name in QUEUES.split(",")],
        )
        return producer

    def connection(self) -> Connection:
        """Return a connection that is not this service's."""
        return Connection(
            self.node.url_of(self.name),
            transport=STOCK,
            transport_options={"confirm_publish": True},
        )

    def call(self, *arguments: str) -> Result:
        """Run ``template-service``; return its output and exit status."""
        load.cache_clear()
        try:
            return CliRunner().invoke(main, arguments, env=self.environment)
        finally:
            load.cache_clear()

    def works(self, *arguments: str) -> str:
        """Run ``template-service``, which must succeed; return its output."""
        done = self.call(*arguments)
        assert done.exit_code == 0, f"{done.output}{done.exception!r}"
        return done.output

    def waiting(self, queue: str) -> int:
        """Return how many messages of a queue no worker has."""
        with self.connection() as connection:
            return int(connection.default_channel.queue_declare(queue, passive=True).message_count)

    def take(self, queue: str, *, no_ack: bool = False) -> list[amqp.Message]:
        """Take all messages of a queue; without ``no_ack`` they go back, as from a lost worker."""
        messages = []
        with self.connection() as connection:
            channel = connection.default_channel
            while (message := channel.basic_get(queue, no_ack=no_ack)) is not None:
                messages.append(message)
        return messages

    def worker(self, directory: Path, **settings: str) -> Process:
        """Return a worker, not started."""
        return Process(
            "worker",
            [
                *(sys.executable, "-m", "celery", "-A", "worker", "worker", "--concurrency=2"),
                *("--loglevel=INFO", "--without-mingle", "-n", f"{self.name}@test", "-Q", QUEUES),
            ],
            log=directory / "worker.log",
            record=directory / "worker.process",
            environment=self.environment | settings,
            directory=code_directory(),
            death_signal=signal.SIGKILL,
        )

    @contextmanager
    def working(self, directory: Path, **settings: str) -> Iterator[Process]:
        """Yield a worker that takes messages, and stop it in the end."""
        worker = self.worker(directory, **settings)
        worker.start()
        try:
            wait_for(worker)
            yield worker
        finally:
            worker.stop()


def wait_for(worker: Process) -> None:
    """Wait until a worker that was started takes messages."""
    ready = wait_until(lambda: "ready." in worker.output() or not worker.running, TIMEOUT)
    assert ready, worker.tail()
    assert worker.running, worker.tail()


# As an operator may have declared them beforehand: no queue is as a worker would have made it.
DECLARED: Final[dict[str, dict[str, Any]]] = {
    "templates": {"x-queue-type": "quorum", "x-delivery-limit": 5},
    "render": {"x-max-priority": 5},
    "render-bulk": {"x-queue-mode": "lazy", "x-message-ttl": 3_600_000},
    "maintenance": {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "elsewhere",
        "x-max-length": 1000,
        "x-overflow": "reject-publish",
    },
    "monitoring": {"x-max-length": 100},
    "dead-letters": {"x-max-length-bytes": 1_000_000_000},
}
VIRTUAL_HOSTS: Final[dict[str, dict[str, str]]] = {
    "classic": {},
    "quorum": {"TEMPLATE_SERVICE_QUEUE_TYPE": "quorum", "TEMPLATE_SERVICE_DELIVERY_LIMIT": "3"},
    "declared": {"USER": NARROW},
}


@pytest.fixture(scope="session", autouse=True)
def _transport() -> None:
    """Have this process use the transport of the service where it is the service."""
    rabbitmq.register()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """Give a RabbitMQ on which an operator has declared some queues."""
    definitions = {
        "queues": [
            {
                "name": name,
                "vhost": "declared",
                "durable": True,
                "auto_delete": False,
                "arguments": arguments,
            }
            for name, arguments in DECLARED.items()
        ],
        "exchanges": [
            {
                "name": "templates",
                "vhost": "declared",
                "type": "topic",
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {},
            }
        ],
    }
    folder = tmp_path_factory.mktemp("rabbitmq")
    hosts = (*VIRTUAL_HOSTS, "alone", "busy")
    with RabbitMQ(folder / "node", hosts, definitions) as node:
        yield node


@pytest.fixture(scope="session")
def brokers(node: RabbitMQ, servers: LocalStack) -> Iterator[Mapping[str, Broker]]:
    """Give all virtual hosts, with the settings that a worker has there."""
    every = VIRTUAL_HOSTS | {"alone": VIRTUAL_HOSTS["quorum"], "busy": VIRTUAL_HOSTS["quorum"]}
    brokers = {name: Broker(node, servers, name, settings) for name, settings in every.items()}
    yield brokers
    for broker in brokers.values():
        broker.producer.close()


@pytest.fixture(scope="module", params=VIRTUAL_HOSTS)
def broker(request: pytest.FixtureRequest, brokers: Mapping[str, Broker]) -> Broker:
    """Give each virtual host in turn."""
    return brokers[request.param]


@pytest.fixture
def alone(brokers: Mapping[str, Broker]) -> Iterator[Broker]:
    """Give a virtual host with quorum queues and no worker, empty in the end."""
    alone = brokers["alone"]
    yield alone
    with alone.connection() as connection:
        for queue in (*QUEUES.split(","), "dead-letters"):
            connection.default_channel.queue_delete(queue)


@pytest.fixture(scope="module")
def worker(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Give a worker on the virtual host."""
    with broker.working(tmp_path_factory.mktemp(broker.name)) as worker:
        yield worker


@pytest.fixture
def producer(broker: Broker, worker: Process) -> Producer:
    """Give a producer whose messages the worker works on."""
    return broker.producer


def letters(broker: Broker) -> list[dict[str, Any]]:
    """Return the dead letters as the command lists them."""
    return list(json.loads(broker.works("dead-letters", "list", "--json", "--limit", "1000")))


@pytest.fixture
def documented(checkout: Path) -> tuple[str, str]:
    """Return the producer of docs/messages.md and its output, with an id of its own."""
    source, output = (
        block.text
        for block in blocks(checkout / "docs" / "messages.md")
        if block.role == "rabbitmq"
    )
    name = f"order-{uuid.uuid4().hex}"
    return source.replace("order_shipped", name), output.replace("order_shipped", name)


def run_producer(source: str, broker: Broker) -> subprocess.CompletedProcess[str]:
    """Run a producer in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", source],
        env=broker.environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
