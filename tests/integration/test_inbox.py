"""What is done with a message before Celery takes it, on a real broker."""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import redis
from kombu import Connection

from db.cluster.processes import wait_until
from tests.support.envelopes import dead_letters
from tests.support.held import held
from tests.support.producer import Producer
from tests.support.tasks import Tasks
from worker.broker import bounds
from worker.envelope import Rules
from worker.local import LocalStack
from worker.node.inbox import Inbox
from worker.node.refusals import Refusals
from worker.settings import Settings, from_environment
from worker.transport import Channel, Transport
from worker.transport.held import HeldMessages

DATABASE = 11
MOST_DELIVERIES = 20


class Reader:
    """Takes messages of the queue ``render`` as a worker does; Celery is a list."""

    def __init__(self, channel: Channel, app: Any, settings: Settings) -> None:  # noqa: ANN401 - Celery ships no types
        self.channel = channel
        self.received: list[Any] = []
        inbox = Inbox(Rules.of(settings, app.tasks), Refusals(app, None, bounds(settings)))
        channel.gate = partial(inbox.admit, channel)
        channel.basic_consume("render", False, partial(inbox.handle, self.take), "tag")  # noqa: FBT003 - kombu's signature

    def take(self, message: Any) -> None:  # noqa: ANN401 - kombu's message
        """Stand for Celery; a message without a template makes it fail."""
        if "template_id" not in message.payload[1]:
            raise LookupError("Celery could not")
        self.received.append(message)

    def read(self) -> None:
        """Take what is there."""
        while self.channel.fetcher.step():
            pass


@pytest.fixture
def broker(servers: LocalStack) -> Iterator[redis.Redis]:
    """Give a client of an empty database."""
    with redis.Redis.from_url(servers.valkey.url_of(DATABASE)) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def producer(servers: LocalStack) -> Iterator[Producer]:
    """Give a producer on that database; answers are where they always are."""
    with Producer(servers.valkey.url_of(DATABASE), servers.valkey.url_of(1)) as producer:
        yield producer


@pytest.fixture
def reader(servers: LocalStack, tasks: Tasks, broker: redis.Redis) -> Iterator[Reader]:
    """Give a reader with an inbox of the service's own tasks."""
    url = servers.valkey.url_of(DATABASE)
    settings = from_environment(servers.addresses())
    with Connection(url, transport=Transport) as connection:
        yield Reader(connection.channel(), tasks.app, settings)


def url_of(servers: LocalStack) -> str:
    """Return the address of that database."""
    return servers.valkey.url_of(DATABASE)


def deliver(broker: Any, times: int) -> None:  # noqa: ANN401 - redis-py's replies have no types
    """Note that the message on the queue was delivered so often to workers that died."""
    (raw,) = broker.lrange("render", 0, -1)
    digest = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
    broker.hset("unacked:deliveries", digest, times)


def test_a_message_that_workers_died_with_becomes_a_dead_letter(
    servers: LocalStack, broker: redis.Redis, producer: Producer, reader: Reader
) -> None:
    """After so many deliveries; its producer is answered, and the letter has it byte for byte."""
    task_id = producer.send("render.one", {"template_id": "deadly"})
    deliver(broker, MOST_DELIVERIES)
    reader.read()
    assert reader.received == []
    assert producer.stored(task_id)["result"]["exc_message"][0] == "poison_message"
    (letter,) = dead_letters(url_of(servers))
    assert letter["reason"].startswith("poison_message: 20 workers died")
    assert held(broker) == []


def test_a_message_below_the_delivery_limit_is_run(
    broker: redis.Redis, producer: Producer, reader: Reader
) -> None:
    """And once it is done, its deliveries are forgotten."""
    producer.send("render.one", {"template_id": "survivor"})
    deliver(broker, MOST_DELIVERIES - 1)
    reader.read()
    (message,) = reader.received
    message.ack()
    assert broker.hlen("unacked:deliveries") == 0
    assert held(broker) == []


def test_a_message_with_an_eta_waits_on_the_broker(
    broker: redis.Redis, producer: Producer, reader: Reader
) -> None:
    """Nobody holds it; one whose time has come is delivered."""
    producer.send("render.one", {"template_id": "later"}, countdown=600)
    producer.send("render.one", {"template_id": "now"}, countdown=-1)
    reader.read()
    assert [message.payload[1]["template_id"] for message in reader.received] == ["now"]
    assert broker.zcard("unacked:scheduled") == 1
    assert len(held(broker)) == 1


def test_a_message_on_which_celery_fails_is_answered_and_a_dead_letter(
    servers: LocalStack, broker: redis.Redis, producer: Producer, reader: Reader
) -> None:
    """Whatever it raises, also a KeyError, which kombu takes for a lost connection."""
    task_id = producer.send("render.one", {})
    reader.read()
    assert producer.stored(task_id)["result"]["exc_message"][0] == "invalid_message"
    (letter,) = dead_letters(url_of(servers))
    assert letter["reason"] == "failed: Celery could not take it: LookupError"
    assert held(broker) == []


def test_an_undecodable_entry_is_a_dead_letter_with_the_same_bytes(
    broker: redis.Redis, reader: Reader
) -> None:
    """And what comes after them is read."""
    kinds = [b"hello", b"1", b"null", b"\xff\x00\n", b"{}", json.dumps({"body": 1}).encode()]
    for raw in kinds:
        broker.lpush("render", raw)
    reader.read()
    assert reader.received == []
    assert broker.llen("dead-letters") == len(kinds)
    assert held(broker) == []


def test_a_message_that_a_full_broker_does_not_delay_is_delayed_later(
    broker: redis.Redis, producer: Producer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither it nor those that were taken with it stay in hand without anybody who knows."""
    producer.send("render.one", {"template_id": "later"}, countdown=600)
    producer.send("render.one", {"template_id": "now"})
    with monkeypatch.context() as full:
        full.setattr(reader.channel.holder.server, "delay", refused)
        reader.read()
    assert reader.received == []
    assert len(held(broker)) == 2
    # What a server has refused is asked for again after a while.
    assert wait_until(lambda: reader.channel.fetcher.step() or bool(reader.received), 10)
    (message,) = reader.received
    assert broker.zcard("unacked:scheduled") == 1
    message.ack()
    assert held(broker) == []
    assert reader.channel.holder.in_hand == {}


def refused(*_: object) -> None:
    """Stand for a server without memory."""
    raise redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")


def test_messages_taken_late_by_a_lost_connection_are_put_back(
    broker: redis.Redis, producer: Producer, reader: Reader
) -> None:
    """A network may deliver a command after the next connection has looked at what is held."""
    holder = reader.channel.holder
    lost = HeldMessages(broker, holder.keys, holder.name)
    for _ in range(3):
        producer.send("render.one", {"template_id": "late"})
    lost._next_tag = 1_000_000
    assert len(lost.take([["render"]], 2)) == 2
    reader.read()
    assert len(reader.received) == 1
    reader.channel.connection.cycle.maybe_restore_messages()
    while len(reader.received) < 3:
        reader.channel.connection.client.drain_events(timeout=10)
    assert len(reader.received) == 3
    for message in reader.received:
        message.ack()
    assert held(broker) == []
