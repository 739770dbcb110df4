"""Who holds which messages: for operators and monitoring, from outside the workers.

Reading changes nothing, needs neither KEYS nor CONFIG, and has a few messages in memory at a time.
"""

import hashlib
import json
import re
from bisect import bisect
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import redis
from kombu.transport.redis import Channel

from worker.transport.held import Keys, source

STOCK: Final = "unacked"
"""Stands for the consumers of workers with kombu's own transport: it does not record who holds a
message. The name of no consumer of ours, which has a slash."""
_STEPS: Final[Sequence[int]] = Channel.priority_steps
_AT_ONCE: Final = 20
_COUNTED_AT_ONCE: Final = 1000
_MOST_SCANS: Final = 200
"""Of 1,000 keys each. Messages whose consumer is not even recorded are what a hand has left
behind; a server with millions of results is not searched to its end for them."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer that holds messages, or may.

    Attributes
    ----------
    is_alive
        None for :data:`STOCK`.
    silent_since
        When its lease ended; None of one that is alive, and of one that is not recorded.
    """

    name: str
    is_alive: bool | None
    silent_since: datetime | None


@dataclass(frozen=True, slots=True)
class Reserved:
    """A message that a consumer holds.

    Attributes
    ----------
    since
        When it was taken.
    list
        Where it came from, without the prefix.
    deliveries
        How often it was taken before by a consumer that died.
    """

    consumer: Consumer
    tag: str
    since: datetime | None
    list: str
    raw: bytes
    deliveries: int


@dataclass(frozen=True, slots=True)
class Delayed:
    """A message that waits on the broker for its time."""

    due: datetime
    list: str
    raw: bytes


class Inspection:
    """Reads what consumers hold, and puts it back.

    Parameters
    ----------
    client
        Without a key prefix of its own.
    keys
        Names of the keys.

    Every method raises what the client raises.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client  # redis-py's replies are typed for two kinds of client
        self._keys = keys
        self._unacked = f"{keys.prefix}{Channel.unacked_key}"
        self._unacked_index = f"{keys.prefix}{Channel.unacked_index_key}"
        names = ("tally", "return", "return_unacked")
        self._scripts = {name: client.register_script(source(name)) for name in names}

    def now(self) -> datetime:
        """Return the time of the server, which leases and ages are measured by."""
        seconds, microseconds = self._client.time()
        return datetime.fromtimestamp(seconds + microseconds / 1_000_000, UTC)

    def consumers(self) -> list[Consumer]:
        """Return all consumers with a lease, or with messages, in the order of their names."""
        now = self.now()
        leases = {
            name.decode(): _moment(score)
            for name, score in self._client.zrange(self._keys.consumers, 0, -1, withscores=True)
        }
        found = [
            Consumer(name, is_alive=ends > now, silent_since=None if ends > now else ends)
            for name, ends in leases.items()
        ]
        found += [
            Consumer(name, is_alive=False, silent_since=None)
            for name in self._unrecorded(leases.keys())
        ]
        if self._client.exists(self._unacked):
            found.append(Consumer(STOCK, is_alive=None, silent_since=None))
        return sorted(found, key=lambda each: each.name)

    def reserved(self, consumer: Consumer) -> Iterator[Reserved]:
        """Yield what a consumer holds, the oldest first."""
        if consumer.name == STOCK:
            yield from self._unacked_messages(consumer)
            return
        held = self._keys.held_by + consumer.name
        tags = sorted(self._client.hkeys(held), key=_number)
        for start in range(0, len(tags), _AT_ONCE):
            some = tags[start : start + _AT_ONCE]
            for tag, entry in zip(some, self._client.hmget(held, some), strict=True):
                if entry is not None:
                    taken, name, raw = entry.split(b"\n", 2)
                    yield Reserved(
                        consumer,
                        tag.decode(),
                        _moment(taken),
                        self._plain(name),
                        raw,
                        self._deliveries(raw),
                    )

    def delayed(self) -> Iterator[Delayed]:
        """Yield the messages that wait for their time, the next first."""
        start = 0
        while some := self._client.zrange(
            self._keys.delayed, start, start + _AT_ONCE - 1, withscores=True
        ):
            start += len(some)
            for entry, due in some:
                _, name, raw = entry.split(b"\n", 2)
                yield Delayed(_moment(due), self._plain(name), raw)

    def waiting(self, queues: Collection[str]) -> Counter[str]:
        """Return how many messages wait on each queue, of all priorities."""
        lists = [(queue, list_of(queue, step)) for queue in queues for step in _STEPS]
        with self._client.pipeline(transaction=False) as asked:
            for _, name in lists:
                asked.llen(self._keys.prefix + name)
            lengths = asked.execute()
        found: Counter[str] = Counter()
        for (queue, _), length in zip(lists, lengths, strict=True):
            found[queue] += length
        return found

    def held(self) -> Counter[str]:
        """Return how many messages of each queue consumers hold."""
        found: Counter[str] = Counter()
        for consumer in self.consumers():
            if consumer.name == STOCK:
                found += self._tally(self._unacked, "unacked")[1]
            else:
                found += self._tally(self._keys.held_by + consumer.name, "held")[1]
        return found

    def postponed(self) -> Counter[str]:
        """Return how many messages of each queue are delayed until their time."""
        found: Counter[str] = Counter()
        start, total = 0, _COUNTED_AT_ONCE
        while total == _COUNTED_AT_ONCE:
            places = start, start + _COUNTED_AT_ONCE - 1
            total, counts = self._tally(self._keys.delayed, "delayed", *places)
            found += counts
            start += total
        return found

    def put_back(
        self, consumer: str, tags: Collection[str] = (), *, may_be_alive: bool = False
    ) -> int | None:
        """Put messages back on their lists; return how many, or None: the consumer is alive.

        Parameters
        ----------
        tags
            None for all that the consumer holds.
        may_be_alive
            Also from a consumer that may be working on them: then they are worked on twice.
        """
        if consumer == STOCK:
            return self._put_back_unacked(tags) if may_be_alive else None
        moved = self._scripts["return"](
            keys=[self._keys.consumers, self._keys.held_by + consumer],
            args=[consumer, int(may_be_alive), *tags],
        )
        return None if moved < 0 else int(moved)

    def _unrecorded(self, known: Collection[str]) -> Iterator[str]:
        """Yield consumers with messages and without a lease, which no worker looks for."""
        pattern = _literal(self._keys.held_by) + "*"
        cursor = 0
        names: set[str] = set()
        for _ in range(_MOST_SCANS):
            try:
                cursor, some = self._client.scan(cursor, match=pattern, count=1000)
            except redis.exceptions.NoPermissionError:
                return
            for key in some:
                name = key.decode().removeprefix(self._keys.held_by)
                if name not in known and name not in names:
                    names.add(name)
                    yield name
            if cursor == 0:
                return

    def _tally(self, key: str, kind: str, *places: int) -> tuple[int, Counter[str]]:
        total, *found = self._scripts["tally"](keys=[key], args=[kind, *places])
        counts: Counter[str] = Counter()
        for name, number in zip(found[::2], found[1::2], strict=True):
            counts[queue_of(self._plain(name))] += number
        return int(total), counts

    def _unacked_messages(self, consumer: Consumer) -> Iterator[Reserved]:
        for tag, entry in self._client.hscan_iter(self._unacked, count=_AT_ONCE):
            found = _unacked_entry(entry)
            taken = self._client.zscore(self._unacked_index, tag)
            if found is not None:
                since = None if taken is None else _moment(taken * 1000)
                yield Reserved(consumer, tag.decode(), since, *found, deliveries=0)

    def _put_back_unacked(self, tags: Collection[str]) -> int:
        moved = 0
        for message in self._unacked_messages(Consumer(STOCK, None, None)):
            if not tags or message.tag in tags:
                moved += self._scripts["return_unacked"](
                    keys=[self._unacked, self._unacked_index, self._keys.prefix + message.list],
                    args=[message.tag, message.raw],
                )
        return moved

    def _deliveries(self, raw: bytes) -> int:
        digest = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        return int(self._client.hget(self._keys.deliveries, digest) or 0)

    def _plain(self, name: bytes) -> str:
        return name.decode("utf-8", "replace").removeprefix(self._keys.prefix)


def queue_of(name: str) -> str:
    """Return the queue of a list of Redis: each priority has a list of its own."""
    queue: str = name.rsplit(Channel.sep, 1)[0]
    return queue


def list_of(queue: str, priority: object) -> str:
    """Return the list of Redis that kombu puts messages of a priority on."""
    number = min(max(priority, 0), 9) if isinstance(priority, int) else 0
    step = _STEPS[bisect(_STEPS, number) - 1]
    return f"{queue}{Channel.sep}{step}" if step else queue


def _unacked_entry(entry: bytes) -> tuple[str, bytes] | None:
    """Return list and message of what kombu has recorded: message, exchange, routing key."""
    try:
        message, _, queue = json.loads(entry)
        priority = message["properties"].get("priority")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return list_of(str(queue), priority), json.dumps(message).encode()


def _moment(milliseconds: Any) -> datetime:  # noqa: ANN401 - bytes of a hash, a float of a score
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)


def _number(tag: bytes) -> int:
    return int(tag) if tag.isdigit() else 0


def _literal(text: str) -> str:
    """Return a text as a glob pattern that matches only itself."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)
