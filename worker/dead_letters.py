"""Messages that cannot be worked on, kept whole on a queue of their own."""

import base64
import hashlib
import json
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any, Final, Self

from kombu import Connection

from db.errors import OperationError
from worker import letter_box
from worker.queues import CONSUMED, DEAD_LETTERS

ID_LENGTH: Final = 12
# Of AMQP's basic properties those that are the producer's; the others are the broker's or kombu's.
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


def keep(app: Any, message: Any, reason: str) -> None:  # noqa: ANN401 - Celery and kombu have no types
    """Put ``message`` on the dead-letter queue, byte for byte, with the reason.

    The letter is a JSON object: ``reason``, ``kept_at``, ``headers``, ``properties``,
    ``content_type``, ``content_encoding``, ``delivery_info`` and ``body`` in base64.
    """
    body = message.body
    raw = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
    letter = {
        "reason": reason,
        "kept_at": datetime.now(UTC).isoformat(),
        "headers": message.headers,
        "properties": {
            name: value for name, value in message.properties.items() if _is_json(value)
        },
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "delivery_info": message.delivery_info,
        "body": base64.b64encode(raw).decode(),
    }
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            letter,
            routing_key=DEAD_LETTERS.routing_key,
            exchange="",
            declare=[DEAD_LETTERS],
            serializer="json",
            retry=True,
        )


@dataclass(frozen=True)
class Letter:
    """A dead letter: ``kept`` is what :func:`keep` has stored, empty for what is no letter.

    Attributes
    ----------
    id
        Of the letter, not of the message: the beginning of a checksum, the same each time.
    """

    id: str
    slip: letter_box.Slip
    kept: dict[str, Any]

    @classmethod
    def of(cls, slip: letter_box.Slip) -> Self:
        """Return the letter that lies on the queue as ``slip``."""
        try:
            kept = json.loads(slip.body)
        except ValueError:
            kept = {}
        checksum = hashlib.sha256(slip.body).hexdigest()
        return cls(checksum[:ID_LENGTH], slip, kept if isinstance(kept, dict) else {})

    @property
    def reason(self) -> str:
        """Why it is here."""
        return str(self.kept.get("reason", "not a letter of this service"))

    @cached_property
    def kept_at(self) -> datetime | None:
        """Since when it is here, where it says so."""
        try:
            return datetime.fromisoformat(self.kept["kept_at"])
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def queue(self) -> str | None:
        """The queue of this service that the message came from, None where that is not known."""
        information = self.kept.get("delivery_info")
        name = information.get("routing_key") if isinstance(information, dict) else None
        return name if name in {queue.value for queue in CONSUMED} else None

    @property
    def headers(self) -> dict[str, Any]:
        """The message's headers."""
        headers = self.kept.get("headers")
        return headers if isinstance(headers, dict) else {}

    @property
    def body(self) -> bytes:
        """The message's body."""
        return base64.b64decode(self.kept.get("body", ""))


def letters(connection: Connection, most: int) -> list[Letter]:
    """Return the ``most`` oldest dead letters, the oldest first. They stay where they are."""
    with letter_box.opened(connection) as box:
        return [Letter.of(slip) for slip in islice(box.oldest_first(), most)]


def ids(connection: Connection) -> list[str]:
    """Return the ids of all dead letters."""
    with letter_box.opened(connection) as box:
        return [Letter.of(slip).id for slip in box.oldest_first()]


def find(connection: Connection, letter_id: str) -> Letter | None:
    """Return a letter, which stays where it is."""
    with letter_box.opened(connection) as box:
        every = map(Letter.of, box.oldest_first())
        return next((letter for letter in every if letter.id == letter_id), None)


def discard(connection: Connection, chosen: Container[str]) -> list[str]:
    """Delete letters; return the ids of those that were still there."""
    with letter_box.opened(connection) as box:
        return [
            letter.id
            for letter in map(Letter.of, box.oldest_first())
            if letter.id in chosen and box.take_out(letter.slip)
        ]


def replay(connection: Connection, chosen: Container[str], queue: str | None = None) -> list[str]:
    """Put messages back on their queues, as they came, and take out their letters.

    A letter is taken out once its message is on its queue; whoever is interrupted in between may
    replay it again.

    Parameters
    ----------
    queue
        In place of the one that each message came from.

    Returns
    -------
    list
        Ids of the letters that were there.

    Raises
    ------
    OperationError
        ``no_queue``: nobody knows where a letter came from. Those before it were replayed.
    """
    sent = []
    with letter_box.opened(connection) as box:
        for letter in map(Letter.of, box.oldest_first()):
            if letter.id in chosen:
                _send(connection, letter, queue or letter.queue)
                box.take_out(letter.slip)
                sent.append(letter.id)
    return sent


def prune(connection: Connection, days: int, *, dry_run: bool) -> int:
    """Delete the letters that were kept more than ``days`` days ago; return how many there were.

    A letter that does not say since when it is here stays until somebody discards it.

    Raises
    ------
    OperationError
        ``broker_away``
    """
    limit = datetime.now(UTC) - timedelta(days=days)
    pruned = 0
    try:
        with letter_box.opened(connection) as box:
            for letter in map(Letter.of, box.oldest_first()):
                if letter.kept_at is not None and letter.kept_at < limit:
                    pruned += dry_run or box.take_out(letter.slip)
    except connection.recoverable_connection_errors as error:
        raise OperationError(
            "broker_away", "the broker did not answer", "run it again when it does"
        ) from error
    return pruned


def _send(connection: Connection, letter: Letter, queue: str | None) -> None:
    if queue is None or not letter.kept:
        raise OperationError(
            "no_queue",
            f"nobody knows which queue letter {letter.id} came from",
            "name one with --queue, or discard it",
        )
    properties = letter.kept.get("properties")
    own = properties if isinstance(properties, dict) else {}
    connection.Producer().publish(
        letter.body,
        exchange="",
        routing_key=queue,
        content_type=letter.kept.get("content_type") or "application/octet-stream",
        content_encoding=letter.kept.get("content_encoding"),
        headers=dict(letter.headers),
        retry=True,
        **{name: own[name] for name in _PROPERTIES if own.get(name) is not None},
    )


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
