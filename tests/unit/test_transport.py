"""The transport's scripts on a server in memory: thousands of interleavings, and foreign keys."""

from typing import Any

import fakeredis
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.transport_model import TransportMachine
from worker.transport import held
from worker.transport.inspection import Inspection

# fakeredis has no redis.sha1hex; any function that tells messages apart does.
DIGEST = (
    "local redis = setmetatable({sha1hex = function(text) return text end}, {__index = redis})\n"
)


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = held.source
    monkeypatch.setattr(held, "source", lambda name: DIGEST + plain(name))


class InMemory(TransportMachine):
    """On fakeredis."""

    def client(self) -> Any:  # noqa: ANN401 - fakeredis's
        """Return a client of an empty server."""
        return fakeredis.FakeRedis(server=fakeredis.FakeServer())


def test_each_message_is_in_one_place_whatever_happens() -> None:
    """Consumers take, release, delay, bury, stand still, die, come back, and lose replies."""
    run_state_machine_as_test(
        InMemory, settings=settings(max_examples=75, stateful_step_count=40, deadline=None)
    )


@pytest.fixture
def server() -> Any:  # noqa: ANN401 - fakeredis's
    """Give a server on which the key of a queue is not a list."""
    server = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    server.set("other", "x")
    return server


@pytest.fixture
def messages(server: Any) -> held.HeldMessages:  # noqa: ANN401 - fakeredis's
    """Give a consumer of the server."""
    return held.HeldMessages(server, held.Keys(), "one")


ENTRIES = {"1": "1\nother\nstuck", "2": "junk", "x": "1\nrender\nlater", "3": "1\nrender\nfine"}
"""Of messages that cannot be put back, and of some that can."""


def test_a_message_that_cannot_be_queued_delays_no_other(
    messages: held.HeldMessages,
    server: Any,  # noqa: ANN401 - fakeredis's
) -> None:
    """It stays among the delayed ones, and is queued when the key is a list again."""
    server.zadd("unacked:scheduled", {entry: at for at, entry in enumerate(ENTRIES.values())})
    messages.renew(sweeps=False)
    assert server.lrange("render", 0, -1) == [b"fine", b"later"]
    assert server.zcard("unacked:scheduled") == 2
    server.delete("other")
    server.zadd("unacked:scheduled", {ENTRIES["1"]: 1})
    messages.renew(sweeps=False)
    assert server.lrange("other", 0, -1) == [b"stuck"]


def test_what_a_dead_consumer_held_is_swept_but_for_what_cannot_be(
    messages: held.HeldMessages,
    server: Any,  # noqa: ANN401 - fakeredis's
) -> None:
    """What cannot be stays held by it; a key that is not a hash is forgotten."""
    server.hset("unacked:held:dead", mapping=ENTRIES)
    server.set("unacked:held:odd", "x")
    messages.renew(sweeps=True)
    server.zadd("unacked:consumers", {"dead": 1, "odd": 1})
    assert messages.renew(sweeps=True).swept == {"dead": 2}
    assert sorted(server.lrange("render", 0, -1)) == [b"fine", b"later"]
    assert server.hkeys("unacked:held:dead") == [b"1", b"2"]
    server.hset("unacked:held:one", mapping=ENTRIES)
    assert messages.put_back_others(()) == 2
    server.delete("other")
    assert (messages.put_back_others(()), server.lrange("other", 0, -1)) == (1, [b"stuck"])


def test_an_operator_gets_back_what_can_be_put_back(
    server: Any,  # noqa: ANN401 - fakeredis's
) -> None:
    """The other messages stay held."""
    server.hset("unacked:held:dead", mapping=ENTRIES)
    assert Inspection(server, held.Keys()).put_back("dead") == 2
    assert sorted(server.lrange("render", 0, -1)) == [b"fine", b"later"]
    assert server.hkeys("unacked:held:dead") == [b"1", b"2"]


@pytest.mark.parametrize("kind", ["text", "list"])
def test_messages_are_taken_whatever_their_number_of_deliveries_is(
    messages: held.HeldMessages,
    server: Any,  # noqa: ANN401 - fakeredis's
    kind: str,
) -> None:
    """The number may be text that another client wrote, or its key may not be a hash."""
    if kind == "list":
        server.rpush("unacked:deliveries", "x")
    else:
        server.hset("unacked:deliveries", "fine", "x")
    server.rpush("render", "fine")
    (taken,) = messages.take([["other", "render"]], 2)
    assert taken == held.Taken("1", "render", b"fine", deliveries=0)


def test_foreign_keys_are_moved_out_of_the_way(
    messages: held.HeldMessages,
    server: Any,  # noqa: ANN401 - fakeredis's
) -> None:
    """All messages would wait for an operator."""
    names = ("consumers", "deliveries", "scheduled", "held:one")
    keys = [*(f"unacked:{name}" for name in names), "dead-letters", "dead-letters:figures"]
    for key in keys:
        server.set(key, key)
    messages.renew(sweeps=True)
    server.rpush("render", "bad")
    messages.take([["render"]], 1)
    bounds = held.Bounds(10, 10**6)
    assert messages.move_to_dead_letters([("1", b"letter")], bounds) == 0
    assert server.lrange("dead-letters", 0, -1) == [b"letter"]
    assert [server.get(f"{key}:displaced") for key in keys] == [key.encode() for key in keys]


def test_nothing_is_swept_when_the_servers_clock_has_jumped(
    messages: held.HeldMessages,
    server: Any,  # noqa: ANN401 - fakeredis's
) -> None:
    """Every lease looks expired then, even the leases of live consumers."""
    assert not messages.renew(sweeps=True).is_on_time
    server.hset("unacked:held:other", "1", "1\nrender\nraw")
    for name in ("one", "other"):
        server.zadd("unacked:consumers", {name: 1})
    late, then = messages.renew(sweeps=True), messages.renew(sweeps=True)
    assert (late.is_on_time, late.swept) == (False, {})
    assert (then.is_on_time, then.swept) == (True, {"other": 1})
