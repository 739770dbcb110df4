"""Queues with task messages and no consumer are found, on any list of the broker."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Connection

from tests.support.envelopes import body_of, envelope
from worker.backlog import backlog
from worker.broker_checks import Thresholds, examine
from worker.local import LocalStack
from worker.metrics.ages import Ages
from worker.transport.held import HeldMessages, Keys
from worker.transport.inspection import NextMessage
from worker.unconsumed import unconsumed

THRESHOLDS = Thresholds(*[timedelta(hours=1)] * 4)


@pytest.fixture
def url(servers: LocalStack) -> Iterator[str]:
    """Give a broker without a message, which nobody else uses."""
    address = servers.valkey.url_of(11)
    yield address
    with redis.Redis.from_url(address) as client:
        client.flushdb()


def message(**headers: object) -> str:
    """Return a message as kombu writes it."""
    return json.dumps(envelope("render.one", body_of({}), headers=headers)[1])


def test_the_default_queue_of_celery_is_found(url: str) -> None:
    """A producer that names no queue is answered by nobody; now somebody is told."""
    producer = Celery(set_as_current=False, broker=url)
    producer.conf.update(broker_read_url=url, broker_write_url=url)
    for priority in (0, 9):
        producer.send_task("render.one", kwargs={}, priority=priority)
    with redis.Redis.from_url(url) as client:
        client.lpush("somebody:list", "no task", "{}")
        client.lpush("dead-letters", message())
        client.lpush("render", message())
    with Connection(url) as connection:
        assert unconsumed(connection) == {"celery": 2, "render": 1}
    figures = backlog(Connection(url), everywhere=True)
    assert figures is not None
    assert figures.unconsumed == {"celery": 2, "render": 1}
    found = examine(Connection(url), THRESHOLDS)
    named = [(each.id, each.what.split()[2]) for each in found if each.id == "queue_unconsumed"]
    assert named == [("queue_unconsumed", "celery"), ("queue_unconsumed", "render")]


def test_a_queue_whose_messages_a_live_worker_holds_is_consumed(url: str) -> None:
    """Its processes may be busy for long, so that nothing moves; a dead worker does not count."""
    with redis.Redis.from_url(url) as client:
        held = HeldMessages(client, Keys(), "node/1", 60)
        client.lpush("render", *(message(n=n) for n in range(3)))
        held.take([["render"]], 1)
        with Connection(url) as connection:
            assert unconsumed(connection) == {}
            client.zincrby("unacked:consumers", -3_600_000, "node/1")
            assert unconsumed(connection) == {"render": 2}


def test_a_queue_that_moves_is_consumed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a worker that does not answer remote control."""
    with redis.Redis.from_url(url) as client, Connection(url) as connection:
        client.lpush("other", message(n=1), message(n=2))

        def consume(_: object) -> set[str]:
            client.rpop("other")
            return set()

        monkeypatch.setattr("worker.unconsumed._consumed", consume)
        assert unconsumed(connection) == {}


def test_queues_of_workers_that_answer_are_consumed(stack: LocalStack) -> None:
    """By remote control, whatever they hold."""
    with (
        redis.Redis.from_url(stack.valkey.url) as client,
        Connection(stack.valkey.url) as connection,
    ):
        client.lpush("unread", message())
        try:
            assert unconsumed(connection) == {"unread": 1}
        finally:
            client.delete("unread")


def test_the_age_of_the_oldest_message(url: str) -> None:
    """Exact where the producer has stamped it, else since it was first seen at its place."""
    ages = Ages()
    with redis.Redis.from_url(url) as client, Connection(url) as connection:
        seconds, _ = client.time()
        client.lpush("render", message(timestamp_in_ms=(seconds - 100) * 1000), message())
        client.lpush("templates", message())
        HeldMessages(client, Keys(), "node/1", 60).take([["templates"]], 1)
        found: dict[Any, float] = ages.read(connection)
    assert found.keys() == {("render", "ready"), ("templates", "reserved")}
    assert 99 <= found["render", "ready"] < 160
    assert 0 <= found["templates", "reserved"] < 60


def test_an_unstamped_message_is_as_old_as_it_was_seen() -> None:
    """Each list of a queue counts, and another message at its place begins anew."""
    ages = Ages()
    one, two = NextMessage(b"1", None), NextMessage(b"2", None)
    assert ages.of_ready({"render": one}, 1000.0) == {"render": 0.0}
    assert ages.of_ready({"render": one, "render\x06\x163": two}, 1010.0) == {"render": 10.0}
    assert ages.of_ready({"render": two, "render\x06\x163": two}, 1015.0) == {"render": 5.0}
    assert ages.of_ready({}, 1016.0) == {}
    assert ages.of_ready({"render": two}, 1020.0) == {"render": 0.0}
