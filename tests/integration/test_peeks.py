"""An idle consumer's question to the broker, whose answer can be a message."""

import select
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu import Connection

from db.cluster.processes import wait_until
from worker.local import LocalStack
from worker.local.server import HOST
from worker.transport import Channel, Transport

DATABASE = 13
QUEUES = ("render", "templates")


class Consumer:
    """A consumer of two queues that is idle."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.received: list[Any] = []
        for queue in QUEUES:
            channel.basic_consume(queue, False, self.received.append, queue)  # noqa: FBT003 - kombu's signature
        channel.fetcher.step()

    @property
    def texts(self) -> list[str]:
        """What was delivered."""
        return [message.body.decode() for message in self.received]

    def wait(self) -> list[int]:
        """Return the sockets of the peeks that have an answer, as soon as one has."""
        readable, _, _ = select.select(self.channel.fetcher.filenos, [], [], 10)
        assert readable
        return list(readable)

    def read(self) -> None:
        """Read the answers that are there."""
        for fileno in self.wait():
            self.channel.fetcher.on_readable(fileno)

    def send(self, text: str, **properties: Any) -> None:  # noqa: ANN401 - kombu's
        """Put a message on the first queue, as a producer does."""
        prepared = self.channel.prepare_message(text, **properties)
        self.channel.basic_publish(prepared, "", QUEUES[0])


@pytest.fixture
def broker(servers: LocalStack) -> Iterator[redis.Redis]:
    """Give an empty database."""
    with redis.Redis.from_url(servers.valkey.url_of(DATABASE)) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def consumer(servers: LocalStack, broker: redis.Redis) -> Iterator[Consumer]:
    """Give an idle consumer that knows the script of the broker."""
    assert not broker.keys()
    with Connection(servers.valkey.url_of(DATABASE), transport=Transport) as connection:
        yield Consumer(connection.channel())


def held(broker: redis.Redis) -> int:
    """Return how many messages are recorded as held."""
    return sum(int(broker.hlen(key)) for key in broker.scan_iter("unacked:held:*"))


def test_an_idle_consumer_gets_a_message_without_another_round_trip(
    consumer: Consumer, broker: redis.Redis
) -> None:
    """The broker records it as held before anybody reads the answer."""
    consumer.send("one")
    consumer.wait()
    assert held(broker) == 1
    assert broker.llen(QUEUES[0]) == 0
    consumer.read()
    assert consumer.texts == ["one"]


def test_a_message_in_an_unread_reply_is_not_put_back(
    consumer: Consumer, broker: redis.Redis
) -> None:
    """It would be delivered twice."""
    consumer.send("one")
    consumer.wait()
    consumer.channel.put_back_unknown()
    assert held(broker) == 1
    consumer.read()
    assert consumer.texts == ["one"]


def test_a_message_in_an_abandoned_reply_is_put_back(
    consumer: Consumer, broker: redis.Redis
) -> None:
    """The consumer was cancelled after the broker had taken it."""
    consumer.send("one")
    consumer.wait()
    consumer.channel.basic_cancel(QUEUES[0])
    consumer.channel.put_back_unknown()
    assert (held(broker), broker.llen(QUEUES[0])) == (0, 1)
    assert consumer.texts == []


def test_the_script_is_loaded_again_after_a_restart_of_the_broker(
    consumer: Consumer, broker: redis.Redis
) -> None:
    """As after a restart; the message is taken with the next question."""
    broker.script_flush()
    consumer.send("one")
    consumer.read()
    assert consumer.texts == []
    consumer.channel.fetcher.step()
    assert consumer.texts == ["one"]


def test_a_failed_peek_is_repeated(
    consumer: Consumer, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that is none now is one again later; nothing is lost in between."""
    monkeypatch.setattr("worker.transport.fetch.REFUSED_SECONDS", 0.0)
    consumer.send("one")
    consumer.read()
    broker.set(QUEUES[0], "no list")
    consumer.channel.fetcher.step()
    consumer.read()
    broker.delete(QUEUES[0])
    consumer.send("two")
    for _ in range(10):
        if len(consumer.received) == len(QUEUES):
            break
        consumer.channel.fetcher.step()
        consumer.read()
    assert consumer.texts == ["one", "two"]


def test_at_most_the_prefetch_count_plus_one_per_other_queue_is_taken(
    consumer: Consumer, broker: redis.Redis
) -> None:
    """Messages that come to several queues at once are taken by several questions."""
    consumer.channel.basic_qos(0, 1, False)  # noqa: FBT003 - kombu's signature
    for number in range(10):
        for queue in QUEUES:
            prepared = consumer.channel.prepare_message(str(number))
            consumer.channel.basic_publish(prepared, "", queue)
    assert wait_until(lambda: held(broker) == len(QUEUES), 10)
    consumer.read()
    for _ in range(3):
        consumer.channel.fetcher.step()
    assert len(consumer.received) == len(QUEUES)
    assert held(broker) == len(QUEUES)


def test_a_user_that_may_not_turn_replies_off_gets_messages(
    servers: LocalStack, broker: redis.Redis
) -> None:
    """The wait then replies with the message, which is dropped: it is taken apart from that."""
    rights = ("+@all", "-@dangerous", "-client|reply", "~*", "&*")
    broker.execute_command("ACL", "SETUSER", "narrow", "on", ">secret", *rights)  # type: ignore[no-untyped-call]
    address = f"redis://narrow:secret@{HOST}:{servers.valkey.port}/{DATABASE}"
    try:
        with Connection(address, transport=Transport) as connection:
            consumer = Consumer(connection.channel())
            for text in ("one", "two"):
                consumer.send(text)
                consumer.read()
                consumer.channel.fetcher.step()
            assert consumer.texts == ["one", "two"]
    finally:
        broker.acl_deluser("narrow")


def test_a_wait_does_not_fetch_the_message(consumer: Consumer, broker: redis.Redis) -> None:
    """A message is sent once, to the consumer that takes it: others wait for it too."""
    text = "x" * 10_000_000
    before = broker.info("stats")["total_net_output_bytes"]
    consumer.channel.basic_qos(0, 1, False)  # noqa: FBT003 - kombu's signature
    consumer.send(text)
    consumer.read()
    assert consumer.texts == [text]
    sent = broker.info("stats")["total_net_output_bytes"] - before
    assert sent < 1.5 * len(text) * 4 / 3
