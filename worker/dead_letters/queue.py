"""The dead-letter queue of any broker, read without losing a message."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis
from kombu import Connection

from worker import rabbitmq
from worker.declared_queues import DEAD_LETTERS
from worker.transport.held import Bounds, Keys
from worker.transport.letters import LetterFigures, LetterList

MOST_RETURNS: Final = 10
"""RabbitMQ 4 drops at 20, unless its queue was declared otherwise."""


@dataclass(frozen=True)
class QueuedLetter:
    """A dead letter on its queue: its body, and the broker's handle for it."""

    body: bytes
    handle: Any


@dataclass(frozen=True)
class ReplayedMessage:
    """A message to return to its queue.

    Attributes
    ----------
    entry
        List and entry of Redis, None where only :attr:`publish` can make one.
    publish
        Sends the message by kombu, for brokers that have no lists.
    """

    entry: tuple[str, bytes] | None
    publish: Callable[[], None]


class DeadLetterQueue(Protocol):
    """Operations on a dead-letter queue."""

    def oldest_first(self) -> Iterator[QueuedLetter]:
        """Yield the letters; the other methods may be called in between."""

    def take_out(self, letters: Sequence[QueuedLetter]) -> list[bool]:
        """Delete letters; return for each whether it was still there."""

    def replay(self, queued: QueuedLetter, message: ReplayedMessage) -> bool:
        """Put a message back and delete its letter; return whether the letter was still there."""

    def figures(self) -> LetterFigures:
        """Return what the broker says about its letters, without moving any."""

    def trim(self, bounds: Bounds) -> int:
        """Drop the oldest letters over ``bounds``; return how many."""


@contextmanager
def opened(connection: Connection) -> Iterator[DeadLetterQueue]:
    """Yield the letters of a broker; what was not taken out is there afterwards."""
    channel = connection.channel()
    try:
        if connection.transport.driver_type == "redis":
            client = redis.Redis(connection_pool=channel.pool)
            keys = Keys(channel.global_keyprefix)
            yield _RedisQueue(LetterList(client, keys, DEAD_LETTERS.name))
        else:
            DEAD_LETTERS(channel).declare()
            source = _AmqpQueue(channel)
            try:
                yield source
            finally:
                source.put_back()
    finally:
        channel.close()


class _RedisQueue:
    """Of Redis: a list whose oldest is the last. Looking moves nothing.

    To take a message off the list and note that it was taken are two steps in kombu, between which
    a letter could be lost; a letter is removed by its value instead.
    """

    def __init__(self, letters: LetterList) -> None:
        self._letters = letters
        self._skip = 0

    def oldest_first(self) -> Iterator[QueuedLetter]:
        self._skip = 0
        while page := self._letters.page(self._skip):
            self._skip += len(page)
            for entry in page:
                yield QueuedLetter(body_of(entry), entry)

    def take_out(self, letters: Sequence[QueuedLetter]) -> list[bool]:
        removed = self._letters.remove([queued.handle for queued in letters])
        self._skip -= sum(removed)
        return removed

    def replay(self, queued: QueuedLetter, message: ReplayedMessage) -> bool:
        if message.entry is None:
            raise ValueError("a message of Redis has an entry")
        is_there = self._letters.replay(queued.handle, *message.entry)
        self._skip -= is_there
        return is_there

    def figures(self) -> LetterFigures:
        return self._letters.figures()

    def trim(self, bounds: Bounds) -> int:
        return self._letters.trim(bounds)


class _AmqpQueue:
    """Of other brokers: messages that are had, and put back unless taken out.

    RabbitMQ puts them back into their places, by itself where this process ends before
    (https://www.rabbitmq.com/docs/confirms#automatic-requeueing). A quorum queue counts that, and
    drops a message that came back too often: before, a copy goes to the end of the queue.
    """

    def __init__(self, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        self._channel = channel
        self._had: dict[Any, bytes | None] = {}

    def oldest_first(self) -> Iterator[QueuedLetter]:
        # Not kombu's Queue.get: it unpacks what its producer has compressed.
        while (message := self._channel.basic_get(DEAD_LETTERS.name, no_ack=False)) is not None:
            body, headers = _letter(message)
            returns = rabbitmq.deliveries(headers, message.delivery_info)
            self._had[message.delivery_tag] = body if returns >= MOST_RETURNS else None
            yield QueuedLetter(body, message.delivery_tag)

    def take_out(self, letters: Sequence[QueuedLetter]) -> list[bool]:
        for queued in letters:
            self._acknowledge(queued)
        return [True] * len(letters)

    def replay(self, queued: QueuedLetter, message: ReplayedMessage) -> bool:
        # Whoever is interrupted in between may replay it again.
        message.publish()
        self._acknowledge(queued)
        return True

    def figures(self) -> LetterFigures:
        # To see the oldest it would have to be taken and put back, which counts as a delivery.
        count = DEAD_LETTERS(self._channel).queue_declare(passive=True).message_count
        return LetterFigures(int(count), size=None, oldest=None, dropped=0, dropped_at=None)

    def trim(self, bounds: Bounds) -> int:  # noqa: ARG002 - RabbitMQ bounds its queues itself
        return 0

    def _acknowledge(self, queued: QueuedLetter) -> None:
        self._channel.basic_ack(queued.handle)
        del self._had[queued.handle]

    def put_back(self) -> None:
        for tag, copy in self._had.items():
            if copy is None:
                self._channel.basic_reject(tag, requeue=True)
            else:
                message = self._channel.prepare_message(
                    copy, content_type="application/json", properties={"delivery_mode": 2}
                )
                self._channel.basic_publish(message, exchange="", routing_key=DEAD_LETTERS.name)
                self._channel.basic_ack(tag)


def _letter(message: Any) -> tuple[bytes, Mapping[str, Any]]:  # noqa: ANN401 - kombu ships no types
    """Return a letter and its headers; one is made of what RabbitMQ itself has dead-lettered."""
    raw = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    properties = dict(message.properties)
    headers = properties.pop("application_headers", None) or {}
    death = rabbitmq.death(headers)
    if death is None:
        return raw, headers
    letter = {
        "reason": death.reason,
        "kept_at": death.moment.isoformat(),
        "headers": rabbitmq.without_broker_headers(headers),
        "content_type": properties.pop("content_type", None),
        "content_encoding": properties.pop("content_encoding", None),
        "properties": properties,
        "delivery_info": {"exchange": "", "routing_key": death.queue},
        "body": base64.b64encode(raw).decode(),
    }
    # Sorted, so that it is the same letter each time; a text stands for what is no JSON.
    return json.dumps(letter, sort_keys=True, default=str).encode(), headers


def body_of(entry: bytes) -> bytes:
    """Return what kombu has wrapped; what is wrapped in some other way is returned as it is."""
    try:
        wrapped = json.loads(entry)
        if wrapped["properties"]["body_encoding"] == "base64":
            return base64.b64decode(wrapped["body"])
        return str(wrapped["body"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return entry
