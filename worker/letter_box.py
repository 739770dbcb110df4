"""The queue of dead letters, looked through without losing any."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kombu import Connection

from worker.queues import DEAD_LETTERS

PAGE: Final = 100
"""Letters that are in memory at a time; one may have the size of a message."""


@dataclass(frozen=True)
class Slip:
    """A letter as it lies on the queue: its body, and by what the broker knows it."""

    body: bytes
    handle: Any


class LetterBox(Protocol):
    """What can be done with a queue of letters."""

    def oldest_first(self) -> Iterator[Slip]:
        """Yield the letters; :meth:`take_out` may be called in between."""

    def take_out(self, slip: Slip) -> bool:
        """Delete a letter; return whether it was still there."""


@contextmanager
def opened(connection: Connection) -> Iterator[LetterBox]:
    """Yield the letters of a broker; what was not taken out is there afterwards."""
    channel = connection.channel()
    try:
        DEAD_LETTERS(channel).declare()
        if connection.transport.driver_type == "redis":
            yield _List(channel.client)
        else:
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

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - kombu ships no types
        self._client = client
        self._removed = 0

    def oldest_first(self) -> Iterator[Slip]:
        last = -1
        while page := self._client.lrange(DEAD_LETTERS.name, last - PAGE + 1, last):
            self._removed = 0
            for raw in reversed(page):
                yield Slip(_body_of(raw), raw)
            last -= len(page) - self._removed

    def take_out(self, slip: Slip) -> bool:
        # Counted from the end, where the oldest are.
        removed = bool(self._client.lrem(DEAD_LETTERS.name, -1, slip.handle))
        self._removed += removed
        return removed


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

    def take_out(self, slip: Slip) -> bool:
        slip.handle.ack()
        return True

    def put_back(self) -> None:
        for message in self._had:
            if not message.acknowledged:
                message.requeue()


def _body_of(raw: bytes) -> bytes:
    """Return what kombu has wrapped; what is wrapped in some other way is returned as it is."""
    try:
        wrapped = json.loads(raw)
        if wrapped["properties"]["body_encoding"] == "base64":
            return base64.b64decode(wrapped["body"])
        return str(wrapped["body"]).encode()
    except (ValueError, KeyError, TypeError):
        return raw
