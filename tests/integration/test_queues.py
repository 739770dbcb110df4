"""In which order the messages of several queues and priorities are taken."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu import Connection

from worker.local import LocalStack
from worker.transport import Channel, Transport
from worker.transport.fetch import MOST_TAKEN

DATABASE = 12


@pytest.fixture
def channel(servers: LocalStack) -> Iterator[Channel]:
    """Give a channel on an empty database."""
    url = servers.valkey.url_of(DATABASE)
    with redis.Redis.from_url(url) as client, Connection(url, transport=Transport) as connection:
        client.flushdb()
        yield connection.channel()
        client.flushdb()


def send(channel: Channel, queue: str, text: str, **properties: Any) -> None:  # noqa: ANN401 - kombu's
    """Put a message on a queue, as a producer does."""
    channel.basic_publish(channel.prepare_message(text, **properties), "", queue)


def read(channel: Channel, *queues: str) -> list[str]:
    """Return what one take delivers, in its order; all is acknowledged."""
    entries: list[str] = []

    def take(message: Any) -> None:  # noqa: ANN401 - kombu's message
        entries.append(message.body.decode() if isinstance(message.body, bytes) else message.body)
        message.ack()

    for queue in queues:
        channel.basic_consume(queue, False, take, queue)  # noqa: FBT003 - kombu's signature
    channel.fetcher.step()
    return entries


def test_priorities_match_kombus(channel: Channel) -> None:
    """0 is first; what is between two steps belongs to the lower one."""
    for priority in (9, 7, 6, 3, 1, 0):
        send(channel, "render", f"{priority}", priority=priority)
    send(channel, "render", "none")
    assert read(channel, "render") == ["1", "0", "none", "3", "7", "6", "9"]


def test_a_higher_priority_of_any_queue_is_before_a_lower_one(channel: Channel) -> None:
    """Queues are equal within a priority only."""
    send(channel, "render", "later", priority=9)
    send(channel, "templates", "first", priority=3)
    assert read(channel, "render", "templates") == ["first", "later"]


def test_a_busy_queue_does_not_starve_another(channel: Channel) -> None:
    """Each has its share of a take; what a queue does not need is for the others."""
    for number in range(3 * MOST_TAKEN):
        send(channel, "render", f"busy {number}")
    for number in range(3):
        send(channel, "templates", f"rare {number}")
    entries = read(channel, "render", "templates")[:MOST_TAKEN]
    assert len(entries) == MOST_TAKEN
    assert [text for text in entries if text.startswith("rare")] == ["rare 0", "rare 1", "rare 2"]
    busy = [text for text in entries if text.startswith("busy")]
    assert busy == [f"busy {number}" for number in range(len(busy))]


def test_any_number_of_messages_is_released(channel: Channel) -> None:
    """A script of Redis takes some thousands of arguments at once, and no more."""
    number = 10_000
    held: list[Any] = []
    channel.basic_consume("render", False, held.append, "render")  # noqa: FBT003 - kombu's signature
    with channel.conn_or_acquire() as client:
        client.lpush("render", *[channel_message(channel) for _ in range(number)])
        while len(held) < number:
            channel.fetcher.step()
        for message in held:
            channel.holder.release(message.delivery_tag)
        channel.holder.release_all()
        assert not channel.holder.has_released
        assert list(client.scan_iter("unacked:held:*")) == []


def channel_message(channel: Channel) -> str:
    """Return a message as a producer puts it on a list."""
    prepared = channel.prepare_message("any", properties={"delivery_tag": "1", "delivery_info": {}})
    return json.dumps(prepared)
