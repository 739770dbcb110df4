"""RabbitMQ without memory, workers that die, messages that came back too often: nothing is lost."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from db.cluster.processes import Process, wait_until
from tests.brokers.conftest import TIMEOUT, Broker, letters, wait_for
from tests.brokers.load import grows, load
from tests.brokers.servers import RABBITMQ, RabbitMQ, program
from tests.factories import templates
from tests.support.producer import RefusedError
from worker import rabbitmq
from worker.local.stack import QUEUES

KILLS = 2


def test_nothing_is_lost_when_a_worker_is_killed_under_load(alone: Broker, tmp_path: Path) -> None:
    """Again and again, main process and pool at once: what it held is delivered to the next one."""
    worker = alone.worker(tmp_path, TEMPLATE_SERVICE_DELIVERY_LIMIT="1000")
    worker.start()
    try:
        wait_for(worker)
        with load(alone.producer) as sent:
            for _ in range(KILLS):
                assert grows(sent.reads)
                worker.kill()
                worker.start()
                wait_for(worker)
    finally:
        worker.stop()


@pytest.fixture(scope="module")
def busy(brokers: Mapping[str, Broker]) -> Broker:
    """Give a virtual host with quorum queues, of which :func:`worker` takes messages."""
    return brokers["busy"]


@pytest.fixture(scope="module")
def worker(busy: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Give its worker, which tries again for as long as a server is away."""
    settings = {
        "TEMPLATE_SERVICE_MAX_RETRIES": "60",
        "TEMPLATE_SERVICE_DB_CONNECT_TIMEOUT": "2",
        "TEMPLATE_SERVICE_DELIVERY_LIMIT": "1000",
    }
    with busy.working(tmp_path_factory.mktemp("busy"), **settings) as worker:
        yield worker


@pytest.mark.usefixtures("worker")
def test_deleted_queues_are_created_again(busy: Broker) -> None:
    """Those that are consumed at once, that of dead letters with the next letter."""
    producer = busy.producer
    producer.send("no.such.task", queue="render")
    assert wait_until(lambda: busy.waiting("dead-letters") == 1, TIMEOUT)
    with busy.connection() as connection:
        connection.default_channel.queue_delete("dead-letters")
    sent = producer.send("no.such.task", queue="render")
    assert wait_until(lambda: exists(busy, "dead-letters"), TIMEOUT)
    assert wait_until(lambda: [letter["id"] for letter in letters(busy)] == [sent], TIMEOUT)
    with busy.connection() as connection:
        connection.default_channel.queue_delete("render")
    assert wait_until(lambda: exists(busy, "render"), TIMEOUT)
    with pytest.raises(RefusedError) as refused:
        producer.call("render.one", {"template_id": "x"})
    assert refused.value.code == "template_not_found"
    busy.works("dead-letters", "discard", "--all", "--yes")


def exists(broker: Broker, queue: str) -> bool:
    """Tell whether a queue is there."""
    with broker.connection() as connection:
        try:
            connection.default_channel.queue_declare(queue, passive=True)
        except connection.channel_errors:
            return False
        return True


def test_a_broker_without_memory_is_drained(busy: Broker, worker: Process, node: RabbitMQ) -> None:
    """It takes nothing from anybody then, and only a worker can make room."""
    producer = busy.producer
    template = templates.published(producer, "Hello", type="sms")
    worker.send(signal.SIGSTOP)
    sent = [producer.send("render.one", {"template_id": template}) for _ in range(100)]
    control(node, "set_vm_memory_high_watermark", "0.00001")
    try:
        worker.send(signal.SIGCONT)
        assert {producer.answer(each, TIMEOUT)["body"] for each in sent} == {"Hello"}
    finally:
        control(node, "set_vm_memory_high_watermark", "0.4")
    assert producer.call("render.one", {"template_id": template})["body"] == "Hello"


def test_dead_letters_wait_for_a_broker_without_memory(
    busy: Broker, worker: Process, node: RabbitMQ
) -> None:
    """The worker goes on with good messages after more bad ones than it may hold."""
    producer = busy.producer
    template = templates.published(producer, "Hello", type="sms")
    worker.send(signal.SIGSTOP)
    bad = [producer.send("no.such.task", queue="render") for _ in range(30)]
    good = [producer.send("render.one", {"template_id": template}) for _ in range(30)]
    control(node, "set_vm_memory_high_watermark", "0.00001")
    try:
        worker.send(signal.SIGCONT)
        assert {producer.answer(each, TIMEOUT)["body"] for each in good} == {"Hello"}
        assert {producer.stored(each, TIMEOUT)["status"] for each in bad} == {"FAILURE"}
        assert busy.waiting("dead-letters") == 0
    finally:
        control(node, "set_vm_memory_high_watermark", "0.4")
    assert wait_until(lambda: busy.waiting("dead-letters") == len(bad), TIMEOUT)
    # A message after them: everything before it was acknowledged, and no letter came twice.
    assert producer.call("render.one", {"template_id": template})["body"] == "Hello"
    assert sorted(letter["id"] for letter in letters(busy)) == sorted(bad)
    busy.works("dead-letters", "discard", "--all", "--yes")


def test_a_worker_exits_while_its_dead_letters_wait(
    alone: Broker, node: RabbitMQ, tmp_path: Path
) -> None:
    """The message is delivered to the next worker, and becomes a dead letter there."""
    with alone.working(tmp_path) as worker:
        worker.send(signal.SIGSTOP)
        bad = alone.producer.send("no.such.task", queue="render")
        control(node, "set_vm_memory_high_watermark", "0.00001")
        try:
            worker.send(signal.SIGCONT)
            assert alone.producer.stored(bad, TIMEOUT)["status"] == "FAILURE"
            worker.send(signal.SIGTERM)
            assert wait_until(lambda: not worker.running, TIMEOUT)
        finally:
            control(node, "set_vm_memory_high_watermark", "0.4")
    with alone.working(tmp_path):
        assert wait_until(lambda: {each["id"] for each in letters(alone)} == {bad}, TIMEOUT)
        assert wait_until(lambda: alone.waiting("render") == 0, TIMEOUT)


def control(node: RabbitMQ, *arguments: str) -> None:
    """Run ``rabbitmqctl``."""
    subprocess.run(
        [str(Path(program(RABBITMQ)).with_name("rabbitmqctl")), *arguments],
        check=True,
        capture_output=True,
        env=os.environ | node.control,
    )


class TestTheDeliveryLimit:
    """Of quorum queues, 3 here."""

    @pytest.fixture
    def declared(self, alone: Broker) -> Broker:
        """Give the broker with the queues that a worker would create."""
        options = {"queue_type": "quorum", "delivery_limit": 3}
        with alone.connection() as stock:
            own = stock.clone(transport="amqp", transport_options=options)
            with own:
                for queue in (*QUEUES.split(","), "dead-letters"):
                    assert rabbitmq.difference(own, queue) == ""
        return alone

    def test_a_message_over_the_delivery_limit_is_a_dead_letter(self, declared: Broker) -> None:
        """With its reason, its queue and its time; replayed it is as its producer sent it."""
        sent = declared.producer.send("render.one", {"template_id": "x"})
        for _ in range(4):
            assert wait_until(lambda: len(declared.take("render")) == 1, TIMEOUT)
        assert wait_until(lambda: declared.waiting("dead-letters") == 1, TIMEOUT)
        for _ in range(25):  # more often than RabbitMQ 4 lets a message come back
            (letter,) = letters(declared)
        assert letter["id"] == sent
        assert letter["queue"] == "render"
        assert letter["reason"].startswith("delivery_limit: ")
        assert letter["kept_at"] is not None
        shown = json.loads(
            declared.works("dead-letters", "show", letter["letter"], "--body", "--json")
        )
        assert json.loads(shown["body"])[1] == {"template_id": "x"}
        declared.works("dead-letters", "replay", letter["letter"], "--yes")
        (replayed,) = declared.take("render", no_ack=True)
        assert replayed.headers["id"] == sent
        assert not {name for name in replayed.headers if "death" in name}
        assert letters(declared) == []

    def test_messages_that_wait_for_their_eta_are_delivered_once(
        self, declared: Broker, tmp_path: Path
    ) -> None:
        """However many wait when the worker starts; they are returned once, when it stops."""
        producer = declared.producer
        sent = {
            producer.send("render.one", {"template_id": "x"}, countdown=900) for _ in range(200)
        }
        with declared.working(tmp_path):
            assert wait_until(lambda: declared.waiting("render") == 0, TIMEOUT)
        assert wait_until(lambda: declared.waiting("render") == len(sent), TIMEOUT)
        taken = declared.take("render")
        assert {message.headers["id"] for message in taken} == sent
        assert {message.headers["x-delivery-count"] for message in taken} == {1}

    def test_the_worker_answers_the_last_delivery(self, declared: Broker, tmp_path: Path) -> None:
        """The worker keeps the message itself, and tells its producer."""
        producer = declared.producer
        lost = producer.send("render.one", {"template_id": "x"})
        for _ in range(3):
            assert wait_until(lambda: len(declared.take("render")) == 1, TIMEOUT)
        with declared.working(tmp_path):
            with pytest.raises(RefusedError) as refused:
                producer.answer(lost)
            assert refused.value.code == "poison_message"
            assert wait_until(lambda: declared.waiting("dead-letters") == 1, TIMEOUT)
            (letter,) = letters(declared)
            assert (letter["id"], letter["queue"]) == (lost, "render")
            # At its first delivery the header is its producer's, and counts nothing.
            counted = {"x-delivery-count": 1000}
            with pytest.raises(RefusedError) as refused:
                producer.call("render.one", {"template_id": "x"}, headers=counted)
            assert refused.value.code == "template_not_found"
