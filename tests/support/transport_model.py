"""A model of the transport: producers, consumers that live, stop and die, and one server."""

from typing import Any

import hypothesis.strategies as st
from hypothesis import note
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from worker.transport.held import Bounds, HeldMessages, Keys, Taken

QUEUES = ("render", "templates")
PRIORITIES = [[*QUEUES], [f"{queue}\x06\x163" for queue in QUEUES]]
LISTS = [name for each in PRIORITIES for name in each]
LETTERS = "dead-letters"


class Consumer:
    """What one process knows: its side of the server, and what it has in hand."""

    def __init__(self, client: Any, name: str) -> None:  # noqa: ANN401 - redis-py's or fakeredis's
        self.server = HeldMessages(client, Keys("app:"), name, lease=3600)
        self.in_hand: dict[str, Taken] = {}
        self.server.renew(sweeps=False)


class TransportMachine(RuleBasedStateMachine):
    """Interleavings of all that producers, consumers and the server can do.

    The server is real or fakeredis; the time that ends a lease is written into the sorted set of
    consumers, so that nothing waits.
    """

    consumers = Bundle("consumers")

    def client(self) -> Any:  # noqa: ANN401 - redis-py's or fakeredis's
        """Return a client of an empty server."""
        raise NotImplementedError

    @initialize()
    def start(self) -> None:
        """Begin with an empty server."""
        self.redis = self.client()
        self.keys = Keys("app:")
        self.sent = 0
        self.started = 0
        self.done: set[bytes] = set()
        self.dropped = 0

    @rule(target=consumers)
    def a_consumer_starts(self) -> Consumer:
        """Under a name that nobody had before, as each process does."""
        self.started += 1
        return Consumer(self.redis, f"worker{self.started}")

    @rule(name=st.sampled_from(LISTS), count=st.integers(1, 5), alike=st.booleans())
    def producers_send(self, name: str, count: int, alike: bool) -> None:  # noqa: FBT001 - a strategy's
        """Bytes of any kind: newlines and NUL among them, some of them alike."""
        for _ in range(count):
            self.sent += 1
            raw = b"\n\x00\xff" if alike else b"message %d\nof \x00bytes" % self.sent
            self.redis.lpush(f"app:{name}", raw)

    @rule(consumer=consumers, most=st.integers(0, 6), done=st.integers(0, 3))
    def a_consumer_releases_and_takes(self, consumer: Consumer, most: int, done: int) -> None:
        """In one step; what was given to others meanwhile is released to no effect."""
        released = list(consumer.in_hand)[:done]
        held = self.held_by(consumer)
        for tag in released:
            taken = consumer.in_hand.pop(tag)
            if tag in held:
                self.done_one(taken.raw)
        for taken in consumer.server.take(PRIORITIES, most, released):
            assert taken.tag not in consumer.in_hand
            consumer.in_hand[taken.tag] = taken

    @rule(consumer=consumers, most=st.integers(1, 6))
    def a_reply_is_lost(self, consumer: Consumer, most: int) -> None:
        """Lose the messages of a reply with its connection: the next connection puts them back."""
        consumer.server.take(PRIORITIES, most)
        consumer.server.put_back_others(consumer.in_hand)

    @rule(consumer=consumers)
    def a_consumer_connects_again(self, consumer: Consumer) -> None:
        """Keep in hand what it has: it is released over the new connection."""
        consumer.server.use(self.redis)
        consumer.server.put_back_others(consumer.in_hand)

    @rule(consumer=consumers, count=st.integers(1, 3), is_next=st.booleans())
    def a_consumer_puts_back(self, consumer: Consumer, count: int, is_next: bool) -> None:  # noqa: FBT001 - a strategy's
        """Put back some of what it has in hand."""
        tags = list(consumer.in_hand)[:count]
        consumer.server.put_back(tags, is_next=is_next)
        for tag in tags:
            del consumer.in_hand[tag]

    @rule(consumer=consumers, is_due=st.booleans())
    def a_consumer_delays(self, consumer: Consumer, is_due: bool) -> None:  # noqa: FBT001 - a strategy's
        """Leave a message with an ETA to the server: it is due now, or in an hour."""
        if consumer.in_hand:
            tag = next(iter(consumer.in_hand))
            consumer.server.delay(tag, 0 if is_due else 3600)
            del consumer.in_hand[tag]

    @rule(consumer=consumers, count=st.integers(1, 3), most=st.sampled_from([2, 1000]))
    def a_consumer_buries(self, consumer: Consumer, count: int, most: int) -> None:
        """Letters over the bounds are dropped, and counted."""
        tags = list(consumer.in_hand)[:count]
        letters = [(tag, consumer.in_hand.pop(tag).raw) for tag in tags]
        self.dropped += consumer.server.move_to_dead_letters(letters, Bounds(most, 10_000))

    @rule(consumer=consumers, sweeps=st.booleans())
    def a_consumer_renews(self, consumer: Consumer, sweeps: bool) -> None:  # noqa: FBT001 - a strategy's
        """And sweeps those whose leases have ended."""
        note(str(consumer.server.renew(sweeps=sweeps)))

    @rule(consumer=consumers)
    def a_consumer_stands_still(self, consumer: Consumer) -> None:
        """Until its lease has ended; it may come back, and believes that it holds what it held."""
        self.redis.zadd(self.keys.consumers, {consumer.server.consumer: 1})

    @rule(consumer=consumes(consumers))
    def a_consumer_dies(self, consumer: Consumer) -> None:
        """Without a word."""
        self.redis.zadd(self.keys.consumers, {consumer.server.consumer: 1})

    @rule(consumer=consumes(consumers))
    def a_consumer_leaves(self, consumer: Consumer) -> None:
        """In good order: nothing is held by it afterwards."""
        consumer.server.leave()
        assert self.held_by(consumer) == {}

    @precondition(lambda self: self.started > 0)
    @rule(target=consumers, consumer=consumes(consumers))
    def a_worker_is_restarted(self, consumer: Consumer) -> Any:  # noqa: ANN401 - hypothesis's
        """Killed and started again: the new process sweeps what the old one has held."""
        self.a_consumer_dies(consumer)
        fresh: Any = self.a_consumer_starts()
        while fresh.server.renew(sweeps=True).swept:
            pass
        assert self.held_by(consumer) == {}
        return multiple(fresh)

    @invariant()
    def each_message_is_in_one_place(self) -> None:
        """Nothing is lost, nothing is there twice: what was sent is somewhere, or was released."""
        if not hasattr(self, "redis"):
            return
        assert len(self.everywhere()) + self.released + self.dropped == self.sent

    @invariant()
    def who_holds_has_a_lease_that_can_end(self) -> None:
        """Nobody holds messages without being among the consumers: no sweep would find them."""
        if not hasattr(self, "redis"):
            return
        holders = {key[len("app:unacked:held:") :] for key in self.redis.keys("app:unacked:held:*")}
        assert holders <= set(self.redis.zrange(self.keys.consumers, 0, -1))

    @property
    def released(self) -> int:
        """How many messages were done."""
        return getattr(self, "_released", 0)

    def done_one(self, raw: bytes) -> None:
        """Note a message that was released while it was held."""
        self.done.add(raw)
        self._released = self.released + 1

    def held_by(self, consumer: Consumer) -> dict[str, bytes]:
        """Return what the server says that a consumer holds."""
        entries = self.redis.hgetall(f"app:unacked:held:{consumer.server.consumer}")
        return {tag.decode(): entry.split(b"\n", 2)[2] for tag, entry in entries.items()}

    def everywhere(self) -> list[bytes]:
        """Return all messages of the server."""
        places = [
            raw for name in [*LISTS, LETTERS] for raw in self.redis.lrange(f"app:{name}", 0, -1)
        ]
        for key in self.redis.keys("app:unacked:held:*"):
            places += [entry.split(b"\n", 2)[2] for entry in self.redis.hvals(key)]
        delayed = self.redis.zrange(self.keys.delayed, 0, -1)
        return places + [entry.split(b"\n", 2)[2] for entry in delayed]
