"""Inspection of the messages that consumers hold, for operators and monitoring.

Reading changes nothing, needs neither KEYS nor CONFIG, and has a few messages in memory at a time.
"""

import hashlib
import json
import re
from bisect import bisect
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import redis
from kombu.transport.redis import Channel

from worker.transport.held import Keys, has_other_type, source

STOCK: Final = "unacked"
"""Name for all workers with kombu's own transport, which does not record who holds a message. Names
of this package's consumers contain a slash, so it cannot collide."""
_STEPS: Final[Sequence[int]] = Channel.priority_steps
_AT_ONCE: Final = 20
_COUNTED_AT_ONCE: Final = 1000
_MOST_SCANS: Final = 200
"""Maximum number of SCANs, of 1,000 keys each, for consumers without a recorded lease. Only manual
changes leave these; a server with millions of results is not searched completely for them."""

_REMOTE_CONTROL: Final = (".pidbox", ".celeryev")
"""Ends of the names of lists that hold no tasks."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer that has a lease or holds messages.

    Attributes
    ----------
    is_alive
        None for :data:`STOCK`.
    silent_since
        When its lease ended; None if it is alive, or has no recorded lease.
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
        The list it came from, without the prefix.
    deliveries
        Number of consumers that died while they held it.
    """

    consumer: Consumer
    tag: str
    since: datetime | None
    list: str
    raw: bytes
    deliveries: int


@dataclass(frozen=True, slots=True)
class Delayed:
    """A message that waits on the broker for its ETA."""

    due: datetime
    list: str
    raw: bytes


class NextMessage(NamedTuple):
    """The message of a list that is taken next.

    Attributes
    ----------
    digest
        The same as long as it is the same message.
    sent_at
        Seconds since 1970; None if the message does not say.
    """

    digest: bytes
    sent_at: float | None


@dataclass(slots=True)
class Tally:
    """Messages by queue, when the oldest was taken, and how many were inspected."""

    counts: Counter[str] = field(default_factory=Counter)
    oldest: dict[str, datetime] = field(default_factory=dict)
    seen: int = 0

    def add(self, other: "Tally") -> None:
        """Add another tally."""
        self.counts += other.counts
        self.seen += other.seen
        for queue, moment in other.oldest.items():
            self.oldest[queue] = min(self.oldest.get(queue, moment), moment)


class Inspection:
    """Reads the messages that consumers hold, and puts them back.

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
        names = ("tally", "oldest", "return", "return_unacked")
        self._scripts = {name: client.register_script(source(name)) for name in names}

    def now(self) -> datetime:
        """Return the server's time, by which leases and ages are measured."""
        seconds, microseconds = self._client.time()
        return datetime.fromtimestamp(seconds + microseconds / 1_000_000, UTC)

    def consumers(self) -> list[Consumer]:
        """Return all consumers with a lease, or with messages, in the order of their names."""
        now = self.now()
        leases = {
            name.decode(): _moment(score)
            for name, score in self._client.zrange(self._keys.consumers, 0, -1, withscores=True)
        }
        consumers = [
            Consumer(name, is_alive=ends > now, silent_since=None if ends > now else ends)
            for name, ends in leases.items()
        ]
        consumers += [
            Consumer(name, is_alive=False, silent_since=None)
            for name in self._unrecorded(leases.keys())
        ]
        if self._client.exists(self._unacked):
            consumers.append(Consumer(STOCK, is_alive=None, silent_since=None))
        return sorted(consumers, key=lambda each: each.name)

    def reserved(self, consumer: Consumer) -> Iterator[Reserved]:
        """Yield the messages that a consumer holds, the oldest first."""
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
        """Yield the delayed messages, the next one first."""
        start = 0
        while some := self._client.zrange(
            self._keys.delayed, start, start + _AT_ONCE - 1, withscores=True
        ):
            start += len(some)
            for entry, due in some:
                _, name, raw = entry.split(b"\n", 2)
                yield Delayed(_moment(due), self._plain(name), raw)

    def waiting(self, queues: Collection[str]) -> Counter[str]:
        """Return how many messages wait on each queue, of all priorities; none on a foreign key."""
        lists = [(queue, list_of(queue, step)) for queue in queues for step in _STEPS]
        with self._client.pipeline(transaction=False) as pipeline:
            for _, name in lists:
                pipeline.llen(self._keys.prefix + name)
            lengths = pipeline.execute(raise_on_error=False)
        counts: Counter[str] = Counter()
        for (queue, _), length in zip(lists, lengths, strict=True):
            if isinstance(length, int):
                counts[queue] += length
            elif not has_other_type(length):
                raise length
        return counts

    def held(self, *, by_living: bool = False) -> Tally:
        """Return how many messages of each queue consumers hold, or only those that are alive."""
        tally = Tally()
        for consumer in self.consumers():
            if consumer.name == STOCK:
                tally.add(self._tally(self._unacked, "unacked"))
            elif consumer.is_alive or not by_living:
                tally.add(self._tally(self._keys.held_by + consumer.name, "held"))
        return tally

    def next_messages(self, queues: Collection[str]) -> dict[str, NextMessage]:
        """Return the next message of each list of queues that is not empty, by the list's name."""
        names = [list_of(queue, step) for queue in queues for step in _STEPS]
        found = self._scripts["oldest"](keys=[self._keys.prefix + name for name in names])
        rows = zip(names, found[::2], found[1::2], strict=True)
        return {
            name: NextMessage(digest, int(sent) / 1000 if sent else None)
            for name, digest, sent in rows
            if digest
        }

    def lists(self) -> dict[str, bytes]:
        """Return every list on the server, without the prefix, with its next entry.

        Lists of Celery's remote control and events are left out; on a server with very many keys,
        others may be missing too.
        """
        pattern = _literal(self._keys.prefix) + "*"
        found: dict[str, bytes] = {}
        cursor = 0
        for _ in range(_MOST_SCANS):
            cursor, some = self._client.scan(cursor, match=pattern, count=1000, _type="list")
            for key in some:
                name = self._plain(key)
                if not queue_of(name).endswith(_REMOTE_CONTROL):
                    entry = self._client.lindex(key, -1)
                    found |= {} if entry is None else {name: entry}
            if cursor == 0:
                break
        return found

    def postponed(self) -> Counter[str]:
        """Return how many messages of each queue are delayed until their ETA."""
        counts: Counter[str] = Counter()
        start, total = 0, _COUNTED_AT_ONCE
        while total == _COUNTED_AT_ONCE:
            places = start, start + _COUNTED_AT_ONCE - 1
            page = self._tally(self._keys.delayed, "delayed", *places)
            total = page.seen
            counts += page.counts
            start += total
        return counts

    def put_back(
        self, consumer: str, tags: Collection[str] = (), *, may_be_alive: bool = False
    ) -> int | None:
        """Put messages back on their lists; return their number, or None if the consumer is alive.

        Parameters
        ----------
        tags
            Tags of the messages; empty for all of the consumer.
        may_be_alive
            Also put back messages of a live consumer, which may be running them: they run twice.
        """
        if consumer == STOCK:
            return self._put_back_unacked(tags) if may_be_alive else None
        moved = self._scripts["return"](
            keys=[self._keys.consumers, self._keys.held_by + consumer],
            args=[consumer, int(may_be_alive), *tags],
        )
        return None if moved < 0 else int(moved)

    def _unrecorded(self, known: Collection[str]) -> Iterator[str]:
        """Yield consumers with messages and without a lease, which workers do not sweep."""
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

    def _tally(self, key: str, kind: str, *places: int) -> Tally:
        total, *rows = self._scripts["tally"](keys=[key], args=[kind, *places])
        tally = Tally(seen=int(total))
        for name, number, since in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
            queue = queue_of(self._plain(name))
            tally.counts[queue] += number
            if kind == "held" and since:
                moment = _moment(since)
                tally.oldest[queue] = min(tally.oldest.get(queue, moment), moment)
        return tally

    def _unacked_messages(self, consumer: Consumer) -> Iterator[Reserved]:
        for tag, entry in self._client.hscan_iter(self._unacked, count=_AT_ONCE):
            list_and_raw = _unacked_entry(entry)
            taken = self._client.zscore(self._unacked_index, tag)
            if list_and_raw is not None:
                since = None if taken is None else _moment(taken * 1000)
                yield Reserved(consumer, tag.decode(), since, *list_and_raw, deliveries=0)

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
    """Return the queue of a Redis list; each priority of a queue has its own list."""
    queue: str = name.rsplit(Channel.sep, 1)[0]
    return queue


def list_of(queue: str, priority: object) -> str:
    """Return the Redis list to which kombu adds messages of a priority."""
    number = min(max(priority, 0), 9) if isinstance(priority, int) else 0
    step = _STEPS[bisect(_STEPS, number) - 1]
    return f"{queue}{Channel.sep}{step}" if step else queue


def _unacked_entry(entry: bytes) -> tuple[str, bytes] | None:
    """Return list and message of an entry of kombu's: message, exchange, routing key."""
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
