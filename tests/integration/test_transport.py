"""One client for each channel's pool."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_client
from kombu import Connection, Exchange, Queue
from kombu.asynchronous import Hub
from kombu.transport import TRANSPORT_ALIASES, redis

from tests.support.held import held
from worker.local import LocalStack
from worker.transport import ALIASES, Channel, SentinelTransport, Transport, fetch, legacy


@pytest.fixture
def channel(servers: LocalStack) -> Iterator[Channel]:
    """Give a channel of this service's transport."""
    with Connection(servers.valkey.url_of(3), transport=Transport) as connection:
        yield connection.channel()


def test_a_channel_keeps_its_client(channel: Channel) -> None:
    """Each use of a connection gets the same one."""
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        assert first is second


def test_a_given_client_is_used(channel: Channel) -> None:
    """As kombu's own channel does."""
    given = object()
    with channel.conn_or_acquire(given) as used:
        assert used is given


def test_a_lost_connection_gets_a_new_client(channel: Channel) -> None:
    """The old one would use the pool that was closed."""
    with channel.conn_or_acquire() as first:
        pass
    channel._disconnect_pools()
    with channel.conn_or_acquire() as second:
        assert second is not first


def test_every_scheme_of_redis_is_covered() -> None:
    """The names that kombu has for its Redis transports are those that are replaced."""
    assert set(ALIASES) == {
        name
        for name, path in TRANSPORT_ALIASES.items()
        if path.startswith(("kombu.transport.redis", "worker.transport"))
    }
    assert issubclass(SentinelTransport.Channel, redis.SentinelChannel)


def test_messages_are_taken_held_and_released(channel: Channel, servers: LocalStack) -> None:
    """Taken, noted as taken, and forgotten when acknowledged."""
    connection = channel.connection.client
    with connection.SimpleQueue("there-and-back") as queue:
        queue.put({"n": 1})
        message = queue.get(timeout=5)
        assert message.payload == {"n": 1}
        assert channel.client is not None
        with channel.conn_or_acquire() as client:
            assert len(held(client)) == 1
            message.ack()
            assert held(client) == []


def test_a_message_fetched_with_get_is_held_until_it_is_acknowledged(channel: Channel) -> None:
    """As one that is consumed; what cannot be decoded goes back."""
    with channel.conn_or_acquire() as client:
        assert channel.basic_get("asked-for") is None
        channel.basic_publish(channel.prepare_message("{}"), "", "asked-for")
        message = channel.basic_get("asked-for")
        assert len(held(client)) == 1
        message.ack()
        assert held(client) == []
        client.lpush("asked-for", b"\xff")
        with pytest.raises(UnicodeDecodeError):
            channel.basic_get("asked-for")
        assert held(client) == []
        assert client.lrange("asked-for", 0, -1) == [b"\xff"]
        client.delete("asked-for")


@pytest.mark.parametrize("priority", redis.PRIORITY_STEPS)
def test_a_message_of_any_priority_wakes_an_idle_consumer(
    servers: LocalStack, monkeypatch: pytest.MonkeyPatch, priority: int
) -> None:
    """At once: no look at its list that is repeated after some time is needed."""
    monkeypatch.setattr(fetch, "PEEK_SECONDS", 3600)
    monkeypatch.setattr(fetch, "RARE_PEEK_SECONDS", 3600)
    url = servers.valkey.url_of(3)
    came: list[Any] = []
    with (
        Connection(url, transport=Transport) as connection,
        Connection(url, transport=redis.Transport) as producer,
    ):
        consumer = connection.Consumer(
            [Queue("woken")], callbacks=[lambda *each: came.append(each)]
        )
        with consumer:
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.1)
            producer.Producer().publish({"n": 1}, routing_key="woken", priority=priority)
            connection.drain_events(timeout=20)
            ((body, message),) = came
            assert body == {"n": 1}
            message.ack()


def test_the_lowest_priority_is_taken_first(channel: Channel, servers: LocalStack) -> None:
    """As docs/integration/overview.md says: 0 is first, and there are four lists."""
    with Connection(servers.valkey.url_of(3), transport=redis.Transport) as producer:
        for priority in (9, 4, 0, 7, None):
            body = {"priority": priority}
            producer.Producer().publish(body, routing_key="by-priority", priority=priority)
    with channel.conn_or_acquire() as client:
        lists = ["by-priority", *(f"by-priority\x06\x16{number}" for number in (3, 6, 9))]
        assert [client.llen(name) for name in lists] == [2, 1, 1, 1]
    taken = []
    while (message := channel.basic_get("by-priority")) is not None:
        taken.append(message.payload["priority"])
        message.ack()
    assert taken == [0, None, 4, 7, 9]


def test_messages_of_kombus_transport_are_put_back_after_the_visibility_timeout(
    channel: Channel, servers: LocalStack
) -> None:
    """After the visibility timeout, to its queue; what nobody reads goes to the first queue."""
    queues = ["render", "templates"]
    with Connection(servers.valkey.url_of(3), transport=redis.Transport) as connection:
        old = connection.channel()
        for routing_key in ("templates", "celery"):
            old.basic_publish(old.prepare_message("{}"), "", routing_key)
            raw = old.client.rpop(routing_key)
            message = old.Message(json.loads(raw), channel=old)
            message.delivery_info["routing_key"] = routing_key
            old.qos.append(message, message.delivery_tag)
        old.do_restore = False
        with channel.conn_or_acquire() as client:
            now = time.time()
            assert legacy.restore(client, "", queues, now - 3600) == 0
            client.set("render", "no list")
            assert legacy.restore(client, "", queues, now + 1) == 1
            assert client.hlen("unacked") == client.zcard("unacked_index") == 1, "still held"
            client.delete("render")
            assert legacy.restore(client, "", queues, now + 1) == 1
            assert legacy.restore(client, "", queues, now + 1) == 0
            assert [client.llen(queue) for queue in queues] == [1, 1]
            assert client.keys("unacked*") == []
            client.flushdb()


def test_a_take_with_a_lost_reply_is_not_retried_by_the_client(
    channel: Channel, servers: LocalStack
) -> None:
    """A second take would overwrite the record of the first; the next connection restores both."""
    with channel.conn_or_acquire() as client:
        client.lpush("lost-reply", *map(str, range(6)))
        holder = channel.holder
        assert holder.take([["no-such-list"]], 1) == []  # the server has the script now
        for connection in [client.connection_pool.get_connection() for _ in range(3)]:
            connection.read_response = lost_reply
            client.connection_pool.release(connection)
        with pytest.raises(redis_client.ConnectionError):
            holder.take([["lost-reply"]], 2)
    with redis_client.Redis.from_url(servers.valkey.url_of(3)) as other:
        assert len(held(other)) == 2
        channel._disconnect_pools()
        channel._holder = None
        assert channel.holder is holder
        assert held(other) == []
        assert other.lrange("lost-reply", 0, -1) == [str(n).encode() for n in reversed(range(6))]
        other.delete("lost-reply")


def lost_reply(*_: object, **__: object) -> None:
    """Stand for a connection that ends after its command was sent."""
    raise redis_client.ConnectionError("lost")


def test_an_event_loop_forgets_a_connection_that_is_closed(servers: LocalStack) -> None:
    """Otherwise it would call, and keep, each that was ever lost."""
    hub = Hub()
    try:
        for _ in range(3):
            with Connection(servers.valkey.url_of(3), transport=Transport) as connection:
                connection.default_channel  # noqa: B018 - connects
                for _ in range(2):
                    connection.transport.register_with_event_loop(connection.connection, hub)
                assert len(hub.on_tick) == 1
        assert hub.on_tick == set()
    finally:
        hub.close()


def test_a_queue_is_bound_although_another_key_is_in_the_way(servers: LocalStack) -> None:
    """A worker could not connect, or would be beyond remote control."""
    exchange = Exchange("odd", type="direct")
    with (
        redis_client.Redis.from_url(servers.valkey.url_of(3)) as client,
        Connection(servers.valkey.url_of(3), transport=Transport) as connection,
    ):
        keys = [f"_kombu.binding{kind}" for kind in (".odd", "_permanent.odd", "_deadlines")]
        for key in keys:
            client.set(key, "x")
        for expires in (None, 60):
            client.hset(f"odd-{expires}", "x", "x")
            Queue(f"odd-{expires}", exchange, expires=expires)(connection.channel()).declare()
        assert client.scard(keys[0]) == 2
        assert [client.get(f"{key}:displaced") for key in keys] == [b"x"] * 3
        client.delete("odd-None", "odd-60", *keys, *(f"{key}:displaced" for key in keys))
