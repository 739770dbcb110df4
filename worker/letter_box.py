"""The queue of dead letters, looked through without losing any."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kombu import Connection

from worker import rabbitmq
from worker.queues import DEAD_LETTERS

PAGE: Final = 100
"""Letters that are in memory at a time; one may have the size of a message."""
MOST_RETURNS: Final = 10
"""RabbitMQ 4 drops at 20, unless its queue was declared otherwise."""


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
    (https://www.rabbitmq.com/docs/confirms#automatic-requeueing). A quorum queue counts that, and
    drops a message that came back too often: before, a copy goes to the end of the queue.
    """

    def __init__(self, channel: Any) -> None:  # noqa: ANN401 - kombu ships no types
        self._channel = channel
        self._had: dict[Any, bytes | None] = {}

    def oldest_first(self) -> Iterator[Slip]:
        # Not kombu's Queue.get: it unpacks what its producer has compressed.
        while (message := self._channel.basic_get(DEAD_LETTERS.name, no_ack=False)) is not None:
            body, headers = _letter(message)
            returns = rabbitmq.deliveries(headers, message.delivery_info)
            self._had[message.delivery_tag] = body if returns >= MOST_RETURNS else None
            yield Slip(body, message.delivery_tag)

    def take_out(self, slip: Slip) -> bool:
        self._channel.basic_ack(slip.handle)
        del self._had[slip.handle]
        return True

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


def _body_of(raw: bytes) -> bytes:
    """Return what kombu has wrapped; what is wrapped in some other way is returned as it is."""
    try:
        wrapped = json.loads(raw)
        if wrapped["properties"]["body_encoding"] == "base64":
            return base64.b64decode(wrapped["body"])
        return str(wrapped["body"]).encode()
    except (ValueError, KeyError, TypeError):
        return raw
