"""Messages that cannot be worked on, kept whole on a queue of their own.

A dead letter is a message of kombu, so that any of its consumers can read the queue. Its body is a
JSON object:

``reason``, ``problems``, ``task_id``
    Why the message is here: the sentence, what was found in detail, and the id that an answer was
    stored under, if there was one.
``kept_at``
    When it became a dead letter.
``queue``, ``list``
    Where it came from: the queue and, on Redis, the list of its priority.
``raw``
    On Redis: the entry of the list, byte for byte, in base64. A replay puts it back.
``headers``, ``properties``, ``content_type``, ``content_encoding``, ``delivery_info``, ``body``
    What could be read of it, ``body`` in base64. On RabbitMQ a replay is made from these.
"""

import base64
import hashlib
import json
import logging
import uuid
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any, Final, Self

import orjson
from kombu import Connection
from kombu.transport.redis import Channel

from db.errors import OperationError
from tasks.errors import Problem
from tasks.events import log_event
from worker import letter_box
from worker.declared_queues import DEAD_LETTERS
from worker.queues import CONSUMED, QueueName
from worker.transport.held import Bounds
from worker.transport.inspection import list_of, queue_of
from worker.transport.letters import PAGE, PAGE_BYTES

logger = logging.getLogger(__name__)

ID_LENGTH: Final = 12
_CONSUMED: Final = frozenset(queue.value for queue in CONSUMED)
LONGEST_PARSED: Final = 8 * 1024 * 1024
"""Bytes of a raw message that is parsed for what a letter shows of it: twice the largest message
that is allowed, with base64 around it. Of a longer one the letter has the raw bytes alone."""
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
# What kombu's virtual transports write around a body, in one piece: 10,000 letters a second are
# made in the worker's main process.
_WRAPPED: Final = (
    b'{"body":"%b","content-encoding":"utf-8","content-type":"application/json","headers":{},'
    b'"properties":{"body_encoding":"base64","delivery_info":{"exchange":"","routing_key":"'
    + QueueName.DEAD_LETTERS.value.encode()
    + b'"},"delivery_mode":2,"delivery_tag":"%b","priority":0}}'
)


def letter_of_raw(
    reason: str,
    raw: bytes,
    source: str,
    *,
    task_id: str | None = None,
    problems: Sequence[Problem] = (),
) -> bytes:
    """Return the dead letter of a message of Redis, as it is put on the list of dead letters.

    Parameters
    ----------
    reason
        ``kind: sentence``, without values of the message.
    raw
        The message's entry on its list; it need not be a message at all.
    source
        The list it came from, without the global key prefix.
    task_id
        The id that an answer was stored under.
    problems
        What was found in detail, without values.
    """
    unique = str(uuid.uuid4())
    letter = {
        "reason": reason,
        "kept_at": datetime.now(UTC).isoformat(),
        "queue": queue_of(source),
        "list": source,
        "task_id": task_id,
        "problems": list(problems),
        # Two letters are never the same bytes: each is removed by its value.
        "unique": unique,
        "raw": base64.b64encode(raw).decode(),
    }
    return _WRAPPED % (base64.b64encode(_serialized(letter, parts_of(raw))), unique.encode())


def keep(  # noqa: PLR0913 - two of Celery's, and what is known of the message
    app: Any,  # noqa: ANN401 - Celery and kombu have no types
    message: Any,  # noqa: ANN401 - the same
    reason: str,
    *,
    queue: str | None = None,
    task_id: str | None = None,
    problems: Sequence[Problem] = (),
) -> None:
    """Put a delivered message on the queue of dead letters; return once the broker has it.

    For brokers other than Redis, where :func:`letter_of_raw` has more of the message. RabbitMQ
    confirms a message once it is on disk, and none while it is short of memory, which may take any
    time; whatever is raised, the message was not acknowledged and may be a dead letter twice, but
    is not lost.

    Parameters
    ----------
    queue
        The queue it came from; None: as its routing key says.
    """
    letter = {
        "reason": reason,
        "kept_at": datetime.now(UTC).isoformat(),
        "queue": queue,
        "task_id": task_id,
        "problems": list(problems),
        "unique": str(uuid.uuid4()),
        "headers": message.headers,
        "properties": {
            name: value for name, value in message.properties.items() if _is_json(value)
        },
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "delivery_info": message.delivery_info,
        "body": base64.b64encode(_as_bytes(message.body)).decode(),
    }
    try:
        _send(app, letter)
    except app.connection_for_write().channel_errors:
        # The queue was deleted since this connection has declared it; the next one declares it.
        _send(app, letter)


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
        except (ValueError, RecursionError):
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
            kept_at = datetime.fromisoformat(self.kept["kept_at"])
        except (KeyError, TypeError, ValueError):
            return None
        return kept_at if kept_at.tzinfo else kept_at.replace(tzinfo=UTC)

    @property
    def queue(self) -> str | None:
        """The queue of this service that the message came from, None where that is not known."""
        information = self.kept.get("delivery_info")
        routed = information.get("routing_key") if isinstance(information, dict) else None
        name = self.kept.get("queue") or routed
        return name if isinstance(name, str) and name in _CONSUMED else None

    @property
    def task_id(self) -> str | None:
        """The id that the producer knows, where there is one."""
        name = self.kept.get("task_id") or self.headers.get("id")
        return name if isinstance(name, str) else None

    @property
    def headers(self) -> dict[str, Any]:
        """The message's headers."""
        headers = self.kept.get("headers")
        return headers if isinstance(headers, dict) else {}

    @property
    def body(self) -> bytes:
        """The message's body, empty where it could not be read."""
        return _decoded(self.kept.get("body")) or b""

    @property
    def raw(self) -> bytes | None:
        """The message as it lay on its list of Redis, None of other brokers and older letters."""
        return _decoded(self.kept.get("raw"))


@dataclass(frozen=True)
class Figures:
    """How many dead letters there are.

    Attributes
    ----------
    size
        Bytes; None where the broker does not tell.
    oldest
        When the oldest letter became one; None without any, and where the broker does not tell.
    dropped
        How many were ever dropped over the bounds; None where the broker does not tell.
    dropped_at
        When one was dropped last.
    """

    count: int
    size: int | None
    oldest: datetime | None
    dropped: int | None
    dropped_at: datetime | None


@contextmanager
def browsed(connection: Connection) -> Iterator[Iterator[Letter]]:
    """Yield all dead letters, the oldest first, a page of them in memory at a time."""
    with letter_box.opened(connection) as box:
        yield map(Letter.of, box.oldest_first())


def letters(connection: Connection, most: int) -> list[Letter]:
    """Return the ``most`` oldest dead letters, the oldest first. They stay where they are."""
    with browsed(connection) as every:
        return list(islice(every, most))


def ids(connection: Connection) -> list[str]:
    """Return the ids of all dead letters."""
    with browsed(connection) as every:
        return [letter.id for letter in every]


def find(connection: Connection, letter_id: str) -> Letter | None:
    """Return a letter, which stays where it is."""
    with browsed(connection) as every:
        return next((letter for letter in every if letter.id == letter_id), None)


def figures(connection: Connection) -> Figures:
    """Return how many dead letters there are, and since when."""
    is_redis = connection.transport.driver_type == "redis"
    with letter_box.opened(connection) as box:
        found = box.figures()
    oldest = None
    if found.oldest is not None:
        oldest = Letter.of(letter_box.Slip(letter_box.body_of(found.oldest), None)).kept_at
    return Figures(
        count=found.count,
        size=found.size,
        oldest=oldest,
        dropped=found.dropped if is_redis else None,
        dropped_at=found.dropped_at,
    )


def discard(connection: Connection, chosen: Container[str]) -> list[str]:
    """Delete letters; return the ids of those that were still there."""
    done = []
    with letter_box.opened(connection) as box:
        every = map(Letter.of, box.oldest_first())
        for some in _groups(letter for letter in every if letter.id in chosen):
            were_there = box.take_out([letter.slip for letter in some])
            done += [letter.id for letter, was in zip(some, were_there, strict=True) if was]
    return done


def replay(connection: Connection, chosen: Container[str], queue: str | None = None) -> list[str]:
    """Put messages back on their queues, as they came, and take out their letters.

    On Redis that is one step. On RabbitMQ a letter is taken out once its message is on its queue;
    whoever is interrupted in between may replay it again.

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
        ``no_queue``: nobody knows where a letter came from; ``queue_missing``: the broker does not
        take it. Those before it were replayed.
    """
    sent = []
    with letter_box.opened(connection) as box:
        for letter in map(Letter.of, box.oldest_first()):
            if letter.id in chosen:
                message = _returned(connection, letter, queue or letter.queue)
                if box.replay(letter.slip, message):
                    sent.append(letter.id)
    return sent


def prune(connection: Connection, days: int, bounds: Bounds | None = None, *, dry_run: bool) -> int:
    """Delete the letters that were kept more than ``days`` days ago; return how many there were.

    A letter that does not say since when it is here stays until somebody discards it. Then the
    oldest over ``bounds`` are dropped, which workers do as well when they add one.

    Raises
    ------
    OperationError
        ``broker_away``
    """
    limit = datetime.now(UTC) - timedelta(days=days)
    pruned = 0
    try:
        with letter_box.opened(connection) as box:
            every = map(Letter.of, box.oldest_first())
            old = (letter for letter in every if letter.kept_at and letter.kept_at < limit)
            if dry_run:
                return sum(1 for _ in old)
            for some in _groups(old):
                pruned += sum(box.take_out([letter.slip for letter in some]))
            if bounds is not None:
                report_dropped(box.trim(bounds))
    except connection.recoverable_connection_errors as error:
        raise OperationError(
            "broker_away", "the broker did not answer", "run it again when it does"
        ) from error
    return pruned


def report_dropped(count: int) -> None:
    """Log that letters were dropped over the bounds, if any were."""
    if count:
        log_event(logger, "dead_letters_dropped", level=logging.ERROR, count=count)


def _groups(found: Iterator[Letter]) -> Iterator[list[Letter]]:
    """Yield letters in groups, each of which fits into one message to the server."""
    some: list[Letter] = []
    size = 0
    for letter in found:
        some.append(letter)
        size += len(letter.slip.body)
        if len(some) == PAGE or size > PAGE_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _returned(connection: Connection, letter: Letter, queue: str | None) -> letter_box.Returned:
    if queue is None or not letter.kept:
        raise OperationError(
            "no_queue",
            f"nobody knows which queue letter {letter.id} came from",
            "name one with --queue, or discard it",
        )
    properties = letter.kept.get("properties")
    known = properties if isinstance(properties, dict) else {}
    own = {name: known[name] for name in _PROPERTIES if known.get(name) is not None}
    return letter_box.Returned(
        entry=_entry(letter, queue, own),
        publish=lambda: _publish(connection, letter, queue, own),
    )


def _entry(letter: Letter, queue: str, own: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return list and entry of Redis of a message."""
    if letter.raw is not None:
        priority = str(letter.kept.get("list")).partition(Channel.sep)[2]
        return list_of(queue, int(priority) if priority.isdecimal() else 0), letter.raw
    # A letter from before this service kept the entry of the list: made as kombu makes it.
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


def _publish(connection: Connection, letter: Letter, queue: str, own: Mapping[str, Any]) -> None:
    options = dict(own)
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
            f"the broker does not take letter {letter.id} for the queue {queue}: {error}",
            "start a worker, which declares its queues, and replay it again",
        ) from error


def _seconds(expiration: object) -> float | None:
    """Return AMQP's text of milliseconds in kombu's seconds."""
    try:
        return float(str(expiration)) / 1000
    except ValueError:
        return None


def _send(app: Any, letter: Mapping[str, Any]) -> None:  # noqa: ANN401 - Celery has no types
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            letter,
            routing_key=DEAD_LETTERS.routing_key,
            exchange="",
            declare=[DEAD_LETTERS],
            serializer="json",
            # RabbitMQ confirms what it drops, such as a message for a queue that was deleted.
            mandatory=True,
            retry=True,
            retry_policy={"max_retries": 3, "interval_start": 0, "interval_max": 1},
        )


def parts_of(raw: bytes) -> dict[str, Any]:
    """Return what can be read of a raw message, under the names that :func:`keep` gives it."""
    if len(raw) > LONGEST_PARSED:
        return {}
    try:
        message = orjson.loads(raw)
    except ValueError:
        message = _lenient(raw)
    if not isinstance(message, dict):
        return {}
    properties = message.get("properties")
    known = properties if isinstance(properties, dict) else {}
    return {
        "headers": message.get("headers"),
        "properties": properties,
        "content_type": message.get("content-type"),
        "content_encoding": message.get("content-encoding"),
        "delivery_info": known.get("delivery_info"),
        "body": _body(message.get("body"), known.get("body_encoding")),
    }


def _lenient(raw: bytes) -> object:
    """Return what Python's parser reads, and kombu with it: NaN, lone surrogates."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _body(body: object, encoding: object) -> str | None:
    if not isinstance(body, str):
        return None
    if encoding == "base64":
        try:
            base64.b64decode(body, validate=True)
        except ValueError:
            pass  # kept as the text that it is
        else:
            return body
    return base64.b64encode(_as_bytes(body)).decode()


def _serialized(letter: Mapping[str, Any], parts: Mapping[str, Any]) -> bytes:
    """Return a letter as JSON; without the parts where they nest too deep to be written."""
    try:
        return orjson.dumps({**letter, **parts})
    except TypeError:
        pass  # lone surrogates, or nested deeper than orjson writes
    try:
        return json.dumps({**letter, **parts}).encode()
    except (ValueError, RecursionError):
        return json.dumps(letter).encode()


def _decoded(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def _as_bytes(body: object) -> bytes:
    if isinstance(body, bytes | memoryview | bytearray):
        return bytes(body)
    return str(body).encode("utf-8", "surrogatepass")


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
