"""The dead-letter queue of any broker, read without losing a message."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import redis
from kombu import Connection

from tasks.broker import DeadLetterFigures
from worker import rabbitmq
from worker.dead_letters.document import completed, document_of_moved
from worker.dead_letters.letter import DeadLetter
from worker.dead_letters.replay import publish, redis_entry
from worker.dead_letters.send import DOCUMENT
from worker.declared_queues import DEAD_LETTERS
from worker.transport.held import Bounds, Keys
from worker.transport.letters import MOVED, LetterList

MOST_RETURNS: Final = 10
"""RabbitMQ 4 drops a message after 20 returns, unless its queue was declared otherwise."""


class DeadLetterQueue(Protocol):
    """Operations on a dead-letter queue."""

    def oldest_first(self) -> Iterator[DeadLetter]:
        """Yield the letters; the other methods may be called in between."""

    def remove(self, letters: Sequence[DeadLetter]) -> list[bool]:
        """Delete letters; return for each whether it still existed."""

    def replay(self, letter: DeadLetter, queue: str) -> bool:
        """Return a message to ``queue`` and delete its letter, if the letter still exists."""

    def figures(self) -> DeadLetterFigures:
        """Return number and size of the letters, as far as the broker reports them."""

    def trim(self, bounds: Bounds) -> int:
        """Drop the oldest letters over ``bounds``; return how many."""


@contextmanager
def opened(connection: Connection) -> Iterator[DeadLetterQueue]:
    """Yield the dead-letter queue of a broker; letters that are not removed stay on it."""
    channel = connection.channel()
    try:
        if connection.transport.driver_type == "redis":
            client = redis.Redis(connection_pool=channel.pool)
            keys = Keys(channel.global_keyprefix)
            yield _RedisQueue(LetterList(client, keys, DEAD_LETTERS.name))
        else:
            DEAD_LETTERS(channel).declare()
            source = _AmqpQueue(connection, channel)
            try:
                yield source
            finally:
                source.requeue()
    finally:
        channel.close()


class _RedisQueue:
    """Dead-letter queue on Redis: a list whose last entry is the oldest. Reading moves nothing.

    kombu pops a message and records that in two steps, between which a letter could be lost. So
    letters are read in place, and removed by value.
    """

    def __init__(self, letters: LetterList) -> None:
        self._letters = letters
        self._skip = 0

    def oldest_first(self) -> Iterator[DeadLetter]:
        self._skip = 0
        while page := self._letters.page(self._skip):
            self._skip += len(page)
            for entry in page:
                yield DeadLetter.of(body_of(entry), entry)

    def remove(self, letters: Sequence[DeadLetter]) -> list[bool]:
        removed = self._letters.remove([letter.handle for letter in letters])
        self._skip -= sum(removed)
        return removed

    def replay(self, letter: DeadLetter, queue: str) -> bool:
        is_there = self._letters.replay(letter.handle, *redis_entry(letter, queue))
        self._skip -= is_there
        return is_there

    def figures(self) -> DeadLetterFigures:
        figures = self._letters.figures()
        oldest = None if figures.oldest is None else DeadLetter.of(body_of(figures.oldest)).kept_at
        age = None if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds())
        return DeadLetterFigures(
            figures.count, figures.size, age, figures.dropped, figures.dropped_at
        )

    def trim(self, bounds: Bounds) -> int:
        return self._letters.trim(bounds)


class _AmqpQueue:
    """Dead-letter queue on other brokers: messages are fetched, and requeued unless removed.

    RabbitMQ requeues them at their positions, by itself if this process dies
    (https://www.rabbitmq.com/docs/confirms#automatic-requeueing). A quorum queue counts returns and
    drops a message with too many, so before that a copy is published to the end of the queue.
    """

    def __init__(self, connection: Connection, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        self._connection = connection
        self._channel = channel
        self._fetched: dict[Any, Any] = {}
        """By tag of each unacknowledged letter: None to requeue it, or a copy to publish."""

    def oldest_first(self) -> Iterator[DeadLetter]:
        # Not kombu's Queue.get: it decompresses messages.
        while (message := self._channel.basic_get(DEAD_LETTERS.name, no_ack=False)) is not None:
            body, headers = _letter(message)
            returns = rabbitmq.deliveries(headers, message.delivery_info)
            copy = _copy(message, body) if returns >= MOST_RETURNS else None
            self._fetched[message.delivery_tag] = copy
            yield DeadLetter.of(body, message.delivery_tag)

    def remove(self, letters: Sequence[DeadLetter]) -> list[bool]:
        for letter in letters:
            self._acknowledge(letter)
        return [True] * len(letters)

    def replay(self, letter: DeadLetter, queue: str) -> bool:
        # An interruption between the two may replay the message twice, but not lose it.
        publish(self._connection, letter, queue)
        self._acknowledge(letter)
        return True

    def figures(self) -> DeadLetterFigures:
        # Reading the oldest letter would mean to fetch and requeue it, which counts as a delivery.
        count = DEAD_LETTERS(self._channel).queue_declare(passive=True).message_count
        return DeadLetterFigures(int(count), size=None, oldest_age_seconds=None, dropped=None)

    def trim(self, bounds: Bounds) -> int:  # noqa: ARG002 - RabbitMQ bounds its queues itself
        return 0

    def _acknowledge(self, letter: DeadLetter) -> None:
        self._channel.basic_ack(letter.handle)
        del self._fetched[letter.handle]

    def requeue(self) -> None:
        for tag, copy in self._fetched.items():
            if copy is None:
                self._channel.basic_reject(tag, requeue=True)
            else:
                body, headers = copy
                message = self._channel.prepare_message(
                    body,
                    content_type="application/json",
                    headers=headers,
                    properties={"delivery_mode": 2},
                )
                self._channel.basic_publish(message, exchange="", routing_key=DEAD_LETTERS.name)
                self._channel.basic_ack(tag)


def _letter(message: Any) -> tuple[bytes, Mapping[str, Any]]:  # noqa: ANN401 - kombu ships no types
    """Return a letter's document and headers; create it for messages dead-lettered by RabbitMQ."""
    raw = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    properties = dict(message.properties)
    headers = properties.pop("application_headers", None) or {}
    if DOCUMENT in headers:
        return _large_letter(headers, raw), headers
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
    # Sorted, so that the letter's id is the same each time; default=str for types JSON lacks.
    return json.dumps(letter, sort_keys=True, default=str).encode(), headers


def _large_letter(headers: Mapping[str, Any], raw: bytes) -> bytes:
    """Return the document of a letter that is the message itself."""
    sent = rabbitmq.without_broker_headers(headers)
    try:
        document = json.loads(sent.pop(DOCUMENT))
        letter = completed({"headers": sent, **document}, raw)
    except (ValueError, TypeError):
        return raw
    return json.dumps(letter, sort_keys=True, default=str).encode()


def _copy(message: Any, body: bytes) -> tuple[bytes, Mapping[str, Any]]:  # noqa: ANN401 - kombu ships no types
    """Return body and headers with which a letter is published again."""
    headers = message.properties.get("application_headers") or {}
    if DOCUMENT in headers:
        return message.body, rabbitmq.without_broker_headers(headers)
    return body, {}


def body_of(entry: bytes) -> bytes:
    """Return the document of a letter; an entry in another format is returned unchanged."""
    if entry.startswith(MOVED):
        return document_of_moved(entry)
    try:
        wrapped = json.loads(entry)
        if wrapped["properties"]["body_encoding"] == "base64":
            return base64.b64decode(wrapped["body"])
        return str(wrapped["body"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return entry
