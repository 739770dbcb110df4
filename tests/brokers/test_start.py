"""A worker that cannot start on RabbitMQ says which setting it was, and what to do."""

from collections.abc import Iterator, Mapping

import pytest
from kombu import Connection

from tests.brokers.conftest import Broker
from tests.brokers.servers import NARROW, RabbitMQ
from worker.preflight import StartError, check
from worker.queues import QueueName
from worker.settings import Settings


def settings(broker: Broker, **changes: str) -> Settings:
    """Return settings of a virtual host."""
    environment = broker.environment
    names = {
        "database_url": environment["DATABASE_URL"],
        "broker_url": broker.url,
        "result_backend": environment["CELERY_RESULT_BACKEND"],
    }
    return Settings.model_validate(names | changes)


@pytest.fixture
def taken(alone: Broker) -> Iterator[Connection]:
    """Have a connection that has declared the queue ``render`` for itself alone."""
    with alone.connection() as connection:
        connection.default_channel.queue_declare("render", exclusive=True, auto_delete=False)
        yield connection


def test_a_wrong_password_is_reported_at_once_and_not_shown(alone: Broker, node: RabbitMQ) -> None:
    """Is not tried again, and not shown."""
    url = alone.url.replace(node.password, "SEKRET")
    with pytest.raises(StartError, match=r"CELERY_BROKER_URL: .*ACCESS_REFUSED") as caught:
        check(settings(alone, broker_url=url))
    assert "SEKRET" not in str(caught.value)


def test_a_missing_virtual_host_is_reported(alone: Broker) -> None:
    """The broker's words name it."""
    with pytest.raises(StartError, match=r"CELERY_BROKER_URL: .*vhost elsewhere not found"):
        check(settings(alone, broker_url=alone.url.replace("/alone", "/elsewhere")))


@pytest.mark.usefixtures("taken")
def test_an_exclusive_queue_of_another_connection_is_reported(alone: Broker) -> None:
    """Nobody else may use it."""
    message = "CELERY_BROKER_URL: the queue render cannot be used: RESOURCE_LOCKED.*: delete it"
    with pytest.raises(StartError, match=message):
        check(settings(alone))


def test_a_missing_queue_that_may_not_be_created_is_reported(alone: Broker, node: RabbitMQ) -> None:
    """The user needs a permission, or the queue."""
    message = (
        "CELERY_BROKER_URL: the queue templates cannot be used: ACCESS_REFUSED.*: let this user"
    )
    with pytest.raises(StartError, match=message):
        check(settings(alone, broker_url=node.url_of("alone", NARROW)))


def test_differing_queues_are_used_and_logged(
    brokers: Mapping[str, Broker], caplog: pytest.LogCaptureFixture
) -> None:
    """With the argument that differs first, and both its values."""
    broker = brokers["declared"]
    check(settings(broker, broker_url=broker.node.url_of("declared"), queue_type="quorum"))
    logged = {record.getMessage() for record in caplog.records}
    assert len(logged) == len(QueueName)
    assert all("is used as it was declared: PRECONDITION_FAILED" in line for line in logged)
    assert any(
        "inequivalent arg 'x-message-ttl' for queue 'render-bulk'" in line for line in logged
    )


def test_a_worker_creates_missing_queues(alone: Broker) -> None:
    """At its start, the queue of dead letters too: RabbitMQ drops what it cannot route."""
    check(settings(alone, queue_type="quorum"))
    for queue in QueueName:
        assert alone.waiting(queue.value) == 0
