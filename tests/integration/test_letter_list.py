"""Dead letters on a real Valkey: raw messages go there and back, within bounds that are counted."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu import Connection

from tests.support.envelopes import body_of, envelope
from tests.support.letters import every_letter
from worker import dead_letters
from worker.dead_letters import letter_of_raw
from worker.declared_queues import DEAD_LETTERS
from worker.local import LocalStack
from worker.transport.held import Bounds, HeldMessages, Keys
from worker.transport.letters import LetterList

NO_BOUNDS = Bounds(10**6, 10**9)
PRIORITY = "render\x06\x163"
GARBAGE = [b"hello", b"\xff\xfe\x00", b"null", b"[" * 5000, b'{"headers": {"retries": NaN}}']


class Broker:
    """A database of Valkey with a consumer that buries what it takes."""

    def __init__(self, url: str, prefix: str = "") -> None:
        self.client: Any = redis.Redis.from_url(url)
        self.client.flushdb()
        self.prefix = prefix
        self.connection = Connection(url, transport_options={"global_keyprefix": prefix})
        self.held = HeldMessages(self.client, Keys(prefix), "node/1")
        self.letters = LetterList(self.client, Keys(prefix), DEAD_LETTERS.name)

    def add_letters(self, *raws: bytes, source: str = "render", bounds: Bounds = NO_BOUNDS) -> int:
        """Send, take and dead-letter raw messages; return how many letters were dropped."""
        for raw in raws:
            self.client.lpush(self.prefix + source, raw)
        taken = self.held.take([[source]], len(raws))
        letters = [(each.tag, letter_of_raw("malformed: x", each.raw, source)) for each in taken]
        assert len(letters) == len(raws)
        return self.held.move_to_dead_letters(letters, bounds)

    def raws(self) -> list[bytes | None]:
        """Return the raw messages of all letters, the oldest first."""
        return [letter.raw for letter in every_letter(self.connection)]

    def waiting(self, source: str) -> list[bytes]:
        """Return what a list holds, the oldest first."""
        entries: list[bytes] = self.client.lrange(self.prefix + source, 0, -1)
        return entries[::-1]

    def figures_are_right(self) -> bool:
        """Compare the figures with what is on the list."""
        every = self.client.lrange(f"{self.prefix}{DEAD_LETTERS.name}", 0, -1)
        figures = self.letters.figures()
        return (figures.count, figures.size) == (len(every), sum(map(len, every)))

    def close(self) -> None:
        """Leave nothing behind."""
        self.connection.release()
        self.client.flushdb()
        self.client.close()


@pytest.fixture(params=["", "tenant:"], ids=["plain", "prefixed"])
def broker(request: pytest.FixtureRequest, servers: LocalStack) -> Iterator[Broker]:
    """Give an empty database, without and with a global key prefix."""
    broker = Broker(servers.valkey.url_of(5), request.param)
    yield broker
    broker.close()


def test_a_replay_returns_the_same_bytes_to_their_list(broker: Broker) -> None:
    """On the list they came from, whatever they are, in their order."""
    broker.add_letters(*GARBAGE, source=PRIORITY)
    assert broker.raws() == GARBAGE
    every = dead_letters.ids(broker.connection)
    assert dead_letters.replay(broker.connection, set(every)) == every
    assert broker.waiting(PRIORITY) == GARBAGE
    assert broker.raws() == []
    assert broker.figures_are_right()


def test_a_replay_to_another_queue_keeps_the_priority(broker: Broker) -> None:
    """The operator names the queue; how urgent it was stays."""
    broker.add_letters(b"one", source=PRIORITY)
    broker.add_letters(b"two", source="elsewhere")
    every = dead_letters.ids(broker.connection)
    assert dead_letters.replay(broker.connection, set(every), "templates") == every
    assert broker.waiting("templates\x06\x163") == [b"one"]
    assert broker.waiting("templates") == [b"two"]


def test_an_entry_too_large_to_fetch_is_moved_on_the_server(broker: Broker) -> None:
    """With its bytes; the consumer gets its ends, for the answer, and then the next messages."""
    large, good = b"\x00{" + b"\n\xff" * 100_000 + b"}", b"good"
    held = HeldMessages(broker.client, Keys(broker.prefix), "node/2", most_bytes=len(large) - 1)
    broker.client.lpush(broker.prefix + PRIORITY, large, large[:-1], large, good)
    taken = [each for _ in range(3) for each in held.take([["other", PRIORITY]], 5)]
    assert [each.moved for each in taken] == [len(large), 0, len(large), 0]
    ends = large[:65_536] + large[-65_536:]
    assert [each.raw for each in taken] == [ends, large[:-1], ends, good]
    assert broker.raws() == [large, large]
    assert broker.waiting(PRIORITY) == []
    assert broker.figures_are_right()
    (letter, other) = every_letter(broker.connection)
    assert letter.reason == f"too_large: the queue entry is {len(large)} bytes, the limit is 200002"
    assert (letter.queue, letter.id != other.id) == ("render", True)
    assert letter.kept_at is not None
    assert dead_letters.discard(broker.connection, {letter.id}) == [letter.id]
    assert dead_letters.replay(broker.connection, {other.id}) == [other.id]
    assert broker.waiting(PRIORITY) == [large]
    assert broker.figures_are_right()


def test_moved_entries_count_towards_the_limits(broker: Broker) -> None:
    """The oldest letters make room for them, whatever their sizes are."""
    large = b"x" * 300_000
    held = HeldMessages(broker.client, Keys(broker.prefix), "node/2", most_bytes=100)
    for _ in range(3):
        broker.client.lpush(broker.prefix + "render", large)
        assert held.take([["render"]], 1)[0].moved
        held.move_to_dead_letters([], Bounds(10, 700_000))
        assert broker.figures_are_right()
    broker.add_letters(*GARBAGE)
    assert broker.raws() == [large, large, *GARBAGE]
    assert broker.letters.figures().dropped == 1
    oldest = broker.letters.figures().oldest
    assert oldest is not None
    assert len(oldest) < 1000
    broker.client.lpush(f"{broker.prefix}{DEAD_LETTERS.name}", b"foreign")
    assert broker.letters.trim(Bounds(2, 700_000)) == len(GARBAGE) + 1
    assert broker.figures_are_right()


def test_a_replay_resets_the_delivery_count(broker: Broker) -> None:
    """Otherwise a message that ended its workers would be a dead letter again at once."""
    broker.add_letters(b"poison")
    deliveries = Keys(broker.prefix).deliveries
    digest = broker.client.eval("return redis.sha1hex(ARGV[1])", 0, b"poison")
    broker.client.hset(deliveries, digest, 9)
    dead_letters.replay(broker.connection, set(dead_letters.ids(broker.connection)))
    assert not broker.client.exists(deliveries)


def test_a_deleted_letter_is_not_replayed(broker: Broker) -> None:
    """Two operators at once: the message is on its queue once."""
    broker.add_letters(b"one")
    (letter,) = every_letter(broker.connection)
    assert broker.letters.replay(letter.handle, "render", b"one")
    assert not broker.letters.replay(letter.handle, "render", b"one")
    assert broker.waiting("render") == [b"one"]


def test_a_failed_replay_changes_nothing(broker: Broker) -> None:
    """The letter stays where the broker is full, or where its key is not a list."""
    broker.add_letters(b"one")
    (letter,) = every_letter(broker.connection)
    broker.client.set(f"{broker.prefix}render", "not a list")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        dead_letters.replay(broker.connection, {letter.id})
    broker.client.delete(f"{broker.prefix}render")
    before = broker.client.config_get("maxmemory")["maxmemory"]
    broker.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError, match=r"OOM|maxmemory"):
            dead_letters.replay(broker.connection, {letter.id})
        assert broker.raws() == [b"one"]
        # To delete is what makes room.
        assert dead_letters.discard(broker.connection, {letter.id}) == [letter.id]
    finally:
        broker.client.config_set("maxmemory", before)
    assert broker.waiting("render") == []
    assert broker.figures_are_right()


def test_letters_of_older_releases_are_replayed_as_kombu_messages(broker: Broker) -> None:
    """They have the parts of a message only; its priority is one of them."""
    _, made = envelope("render.one", body_of({"n": 1}))
    kept = {
        "reason": "unknown_task: none",
        "kept_at": datetime.now(UTC).isoformat(),
        "headers": made["headers"],
        "properties": made["properties"] | {"priority": 5},
        "content_type": made["content-type"],
        "content_encoding": made["content-encoding"],
        "delivery_info": {"exchange": "", "routing_key": "render"},
        "body": made["body"],
    }
    with broker.connection.Producer() as producer:
        producer.publish(kept, routing_key=DEAD_LETTERS.name, serializer="json")
    (letter,) = every_letter(broker.connection)
    assert (letter.queue, letter.raw) == ("render", None)
    assert dead_letters.replay(broker.connection, {letter.id}) == [letter.id]
    assert len(broker.waiting(PRIORITY)) == 1
    message = broker.connection.SimpleQueue("render").get(timeout=5)
    assert message.payload == json.loads(base64.b64decode(made["body"]))
    assert message.headers == made["headers"]
    assert message.properties["correlation_id"] == made["properties"]["correlation_id"]
    message.ack()
    assert broker.figures_are_right()


class TestBounds:
    """How much is kept, and how it is counted."""

    def test_the_oldest_letters_over_the_limits_are_dropped_and_counted(
        self, broker: Broker
    ) -> None:
        """By number and by bytes; the newest stays however large it is."""
        assert broker.add_letters(b"1", b"2", bounds=Bounds(3, 10**9)) == 0
        assert broker.add_letters(b"3", b"4", b"5", bounds=Bounds(3, 10**9)) == 2
        assert broker.raws() == [b"3", b"4", b"5"]
        assert broker.add_letters(b"6" * 10_000, bounds=Bounds(100, 5000)) == 3
        assert broker.raws() == [b"6" * 10_000]
        figures = dead_letters.figures(broker.connection)
        assert (figures.count, figures.dropped) == (1, 5)
        assert figures.dropped_at is not None
        assert abs((datetime.now(UTC) - figures.dropped_at).total_seconds()) < 60
        assert broker.figures_are_right()

    def test_the_figures_are_corrected_after_an_external_purge(self, broker: Broker) -> None:
        """What the figures said before does not make the next letters the dropped ones."""
        broker.add_letters(*[b"x" * 5000] * 4)
        broker.client.delete(f"{broker.prefix}{DEAD_LETTERS.name}")
        assert broker.add_letters(b"1", b"2", bounds=Bounds(100, 20_000)) == 0
        assert broker.figures_are_right()
        broker.client.rpop(f"{broker.prefix}{DEAD_LETTERS.name}")
        assert broker.add_letters(b"3", bounds=Bounds(100, 20_000)) == 0
        assert broker.raws() == [b"2", b"3"]
        assert broker.figures_are_right()

    def test_letters_added_by_other_programs_are_counted(self, broker: Broker) -> None:
        """Workers of before push them with kombu, during a deploy."""
        broker.client.lpush(f"{broker.prefix}{DEAD_LETTERS.name}", b"x" * 700)
        broker.add_letters(b"1")
        assert broker.figures_are_right()
        broker.client.lpush(f"{broker.prefix}{DEAD_LETTERS.name}", b"y" * 900, b"z")
        broker.add_letters(b"2")
        assert broker.figures_are_right()

    def test_a_prune_recounts_and_applies_the_limits(self, broker: Broker) -> None:
        """Also where somebody has exchanged letters, so that their number looks right."""
        broker.add_letters(b"1", b"2", b"3")
        name = f"{broker.prefix}{DEAD_LETTERS.name}"
        broker.client.rpop(name)
        broker.client.lpush(name, b"w" * 5000)
        dead_letters.prune(broker.connection, 30, Bounds(2, 10**9), dry_run=False)
        assert broker.client.llen(name) == 2
        assert broker.figures_are_right()
        assert dead_letters.figures(broker.connection).dropped == 1

    def test_dropped_letters_are_logged(
        self, broker: Broker, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As an error, with the number of letters."""
        broker.add_letters(b"1", b"2", b"3")
        dead_letters.prune(broker.connection, 30, Bounds(1, 10**9), dry_run=False)
        (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
        assert record.getMessage().endswith("dead_letters_dropped count=2")

    def test_a_message_that_is_no_longer_held_is_not_dead_lettered(self, broker: Broker) -> None:
        """Another consumer has it, and buries it in turn."""
        broker.client.lpush(f"{broker.prefix}render", b"1")
        (taken,) = broker.held.take([["render"]], 1)
        broker.held.put_back([taken.tag], is_next=True)
        letter = (taken.tag, letter_of_raw("malformed: x", taken.raw, "render"))
        assert broker.held.move_to_dead_letters([letter], NO_BOUNDS) == 0
        assert broker.raws() == []


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add_letters"), st.integers(1, 3)),
        st.tuples(st.just("discard"), st.integers(0, 5)),
        st.tuples(st.just("replay"), st.integers(0, 5)),
        st.tuples(st.just("push"), st.integers(1, 500)),
        st.tuples(st.just("purge"), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(OPERATIONS)
def test_the_figures_stay_correct_after_any_operations(
    servers: LocalStack, operations: list[tuple[str, int]]
) -> None:
    """However letters come and go: by workers, operators and from outside."""
    broker = Broker(servers.valkey.url_of(5))
    number = 0
    for operation, argument in operations:
        every = dead_letters.ids(broker.connection)
        match operation:
            case "add_letters":
                raws = [b"%d" % (number + more) for more in range(argument)]
                number += argument
                broker.add_letters(*raws, bounds=Bounds(4, 10**9))
            case "discard":
                dead_letters.discard(broker.connection, every[argument : argument + 2])
            case "replay":
                dead_letters.replay(broker.connection, every[argument : argument + 2], "templates")
            case "push":
                number += 1
                broker.client.lpush(DEAD_LETTERS.name, b" " * argument + b'{"n": %d}' % number)
            case "purge":
                broker.client.delete(DEAD_LETTERS.name)
        if operation in {"add_letters", "replay", "discard"} and set(every) != set(
            dead_letters.ids(broker.connection)
        ):
            assert broker.figures_are_right()
    broker.add_letters(b"last", bounds=Bounds(4, 10**9))
    assert broker.figures_are_right()
    assert broker.client.llen(DEAD_LETTERS.name) <= 4
    broker.close()


MANY = """
import resource, sys
from kombu import Connection
from worker import dead_letters
with Connection(sys.argv[1]) as connection:
    with dead_letters.browsed(connection) as every:
        next(every)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    every = len(dead_letters.ids(connection))
    missing = dead_letters.find(connection, "nothing")
    pruned = dead_letters.prune(connection, 30, dry_run=False)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(every, missing, pruned, grown)
"""


def test_many_letters_take_little_memory(servers: LocalStack, checkout: Path) -> None:
    """60 MB of them are listed, searched and pruned by a process that grows by 25 MB at most."""
    broker = Broker(servers.valkey.url_of(5))
    kept = {"reason": "x", "kept_at": "2020-01-01T00:00:00+00:00", "padding": "x" * 4000}
    count = 15_000
    for start in range(0, count, 500):
        entries = [json.dumps({**kept, "n": start + n}).encode() for n in range(500)]
        broker.client.lpush(DEAD_LETTERS.name, *entries)
    done = subprocess.run(
        [sys.executable, "-c", MANY, servers.valkey.url_of(5)],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    every, missing, pruned, grown = done.stdout.split()
    assert (int(every), missing, int(pruned)) == (count, "None", count)
    assert int(grown) * 1024 / resource_unit() < 25 * 1024 * 1024
    broker.close()


def resource_unit() -> int:
    """Return what ru_maxrss counts in, in KiB: Linux counts KiB, macOS bytes."""
    return 1024 if sys.platform == "darwin" else 1
