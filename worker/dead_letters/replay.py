"""Reconstruction of a dead letter's message, to return it to its queue."""

import base64
import json
import uuid
from typing import Any, Final

from kombu import Connection
from kombu.transport.redis import Channel

from db.errors import OperationError
from worker.dead_letters.letter import DeadLetter
from worker.transport.inspection import list_of

# AMQP's basic properties that the producer sets; the broker or kombu set the others.
_PROPERTIES: Final = (
    "correlation_id",
    "reply_to",
    "priority",
    "delivery_mode",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "app_id",
)


def redis_entry(letter: DeadLetter, queue: str) -> tuple[str, bytes]:
    """Return the list and the entry of Redis of a letter's message that goes back to ``queue``."""
    if letter.raw is not None:
        priority = str(letter.kept.get("list")).partition(Channel.sep)[2]
        return list_of(queue, int(priority) if priority.isdecimal() else 0), letter.raw
    # A letter of an older release, without the raw entry: build one as kombu does.
    own = _properties(letter)
    entry = {
        "body": base64.b64encode(letter.body).decode(),
        "content-encoding": letter.kept.get("content_encoding") or "binary",
        "content-type": letter.kept.get("content_type") or "application/octet-stream",
        "headers": letter.headers,
        "properties": {
            "delivery_mode": 2,
            "priority": 0,
            **own,
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return list_of(queue, own.get("priority")), json.dumps(entry).encode()


def publish(connection: Connection, letter: DeadLetter, queue: str) -> None:
    """Send a letter's message to ``queue`` through kombu, for brokers other than Redis."""
    options = _properties(letter)
    if (expiration := _seconds(options.pop("expiration", None))) is not None:
        options["expiration"] = expiration
    try:
        connection.Producer().publish(
            letter.body,
            exchange="",
            routing_key=queue,
            content_type=letter.kept.get("content_type") or "application/octet-stream",
            content_encoding=letter.kept.get("content_encoding"),
            headers=dict(letter.headers),
            retry=True,
            mandatory=True,  # without it a message for a queue that does not exist is lost
            **options,
        )
    except connection.channel_errors as error:
        raise OperationError(
            "queue_missing",
            f"dead letter {letter.id} cannot be published to queue {queue}: {error}",
            "start a worker, which declares its queues, and replay it again",
        ) from error


def _properties(letter: DeadLetter) -> dict[str, Any]:
    properties = letter.kept.get("properties")
    known = properties if isinstance(properties, dict) else {}
    return {name: known[name] for name in _PROPERTIES if known.get(name) is not None}


def _seconds(expiration: object) -> float | None:
    """Convert AMQP's expiration, milliseconds as text, to kombu's seconds."""
    try:
        return float(str(expiration)) / 1000
    except ValueError:
        return None
