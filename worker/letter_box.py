"""The queue of dead letters of any broker, looked through without losing any."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import redis
from kombu import Connection

from worker.queues import DEAD_LETTERS
from worker.transport.held import Bounds, Keys
from worker.transport.letters import LetterFigures, LetterList


@dataclass(frozen=True)
class Slip:
    """A letter as it lies on the queue: its body, and by what the broker knows it."""

    body: bytes
    handle: Any


@dataclass(frozen=True)
class Returned:
    """A message to be put back on its queue.

    Attributes
    ----------
    entry
        List and entry of Redis, None where only :attr:`publish` can make one.
    publish
        Sends the message by kombu, for brokers that have no lists.
    """

    entry: tuple[str, bytes] | None
    publish: Callable[[], None]


class LetterBox(Protocol):
    """What can be done with a queue of letters."""

    def oldest_first(self) -> Iterator[Slip]:
        """Yield the letters; the other methods may be called in between."""

    def take_out(self, slips: Sequence[Slip]) -> list[bool]:
        """Delete letters; return for each whether it was still there."""

    def replay(self, slip: Slip, message: Returned) -> bool:
        """Put a message back and delete its letter; return whether the letter was still there."""

    def figures(self) -> LetterFigures:
        """Return what the broker says about its letters, without moving any."""

    def trim(self, bounds: Bounds) -> int:
        """Drop the oldest letters over ``bounds``; return how many."""


@contextmanager
def opened(connection: Connection) -> Iterator[LetterBox]:
    """Yield the letters of a broker; what was not taken out is there afterwards."""
    channel = connection.channel()
    try:
        if connection.transport.driver_type == "redis":
            client = redis.Redis(connection_pool=channel.pool)
            keys = Keys(channel.global_keyprefix)
            yield _List(LetterList(client, keys, DEAD_LETTERS.name))
        else:
            DEAD_LETTERS(channel).declare()
            box = _Queue(channel)
            try:
                yield box
            finally:
                box.put_back()
    finally:
        channel.close()


class _List:
    """Of Redis: a list whose oldest is the last. Looking moves nothing.

    To take a message off the list and note that it was taken are two steps in kombu, between which
    a letter could be lost; a letter is removed by its value instead.
    """

    def __init__(self, letters: LetterList) -> None:
        self._letters = letters
        self._skip = 0

    def oldest_first(self) -> Iterator[Slip]:
        self._skip = 0
        while page := self._letters.page(self._skip):
            self._skip += len(page)
            for entry in page:
                yield Slip(body_of(entry), entry)

    def take_out(self, slips: Sequence[Slip]) -> list[bool]:
        removed = self._letters.remove([slip.handle for slip in slips])
        self._skip -= sum(removed)
        return removed

    def replay(self, slip: Slip, message: Returned) -> bool:
        if message.entry is None:
            raise ValueError("a message of Redis has an entry")
        is_there = self._letters.replay(slip.handle, *message.entry)
        self._skip -= is_there
        return is_there

    def figures(self) -> LetterFigures:
        return self._letters.figures()

    def trim(self, bounds: Bounds) -> int:
        return self._letters.trim(bounds)


class _Queue:
    """Of other brokers: messages that are had, and put back unless taken out.

    RabbitMQ puts them back into their places, by itself where this process ends before
    (https://www.rabbitmq.com/docs/confirms#automatic-requeueing).
    """

    def __init__(self, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        self._queue = DEAD_LETTERS(channel)
        self._had: list[Any] = []

    def oldest_first(self) -> Iterator[Slip]:
        while (message := self._queue.get(no_ack=False)) is not None:
            self._had.append(message)
            body = message.body
            yield Slip(body if isinstance(body, bytes) else str(body).encode(), message)

    def take_out(self, slips: Sequence[Slip]) -> list[bool]:
        for slip in slips:
            slip.handle.ack()
        return [True] * len(slips)

    def replay(self, slip: Slip, message: Returned) -> bool:
        # Whoever is interrupted in between may replay it again.
        message.publish()
        slip.handle.ack()
        return True

    def figures(self) -> LetterFigures:
        # To see the oldest it would have to be taken and put back, which counts as a delivery.
        count = self._queue.queue_declare(passive=True).message_count
        return LetterFigures(int(count), size=None, oldest=None, dropped=0, dropped_at=None)

    def trim(self, bounds: Bounds) -> int:  # noqa: ARG002 - RabbitMQ bounds its queues itself
        return 0

    def put_back(self) -> None:
        for message in self._had:
            if not message.acknowledged:
                message.requeue()


def body_of(entry: bytes) -> bytes:
    """Return what kombu has wrapped; what is wrapped in some other way is returned as it is."""
    try:
        wrapped = json.loads(entry)
        if wrapped["properties"]["body_encoding"] == "base64":
            return base64.b64decode(wrapped["body"])
        return str(wrapped["body"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return entry
