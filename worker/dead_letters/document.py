"""Creation of a dead letter's JSON document from a refused message."""

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from tasks.errors import Problem
from worker.queues import QueueName
from worker.transport.inspection import queue_of

LONGEST_PARSED: Final = 8 * 1024 * 1024
"""Maximum size of a raw message that is parsed, for the letter to show its parts: twice the largest
permitted message, in base64. The letter of a longer one has only the raw bytes."""
# The wrapper of kombu's virtual transports around a body, as one template for speed: a worker's
# main process creates up to 10,000 letters a second.
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
    """Return the entry for the list of dead letters, for a message of Redis.

    Parameters
    ----------
    reason
        ``kind: sentence``, without values of the message.
    raw
        The entry of the list; it may be anything, not only a message.
    source
        The list it came from, without the global key prefix.
    task_id
        The id that an answer was stored under.
    problems
        All problems, without values.
    """
    unique = str(uuid.uuid4())
    letter = {
        "reason": reason,
        "kept_at": datetime.now(UTC).isoformat(),
        "queue": queue_of(source),
        "list": source,
        "task_id": task_id,
        "problems": list(problems),
        # Makes each letter different, since letters are removed by value.
        "unique": unique,
        "raw": base64.b64encode(raw).decode(),
    }
    return _WRAPPED % (base64.b64encode(_serialized(letter, parts_of(raw))), unique.encode())


def document_of_moved(entry: bytes) -> bytes:
    """Return the document of a letter that was moved on the server for its size."""
    line, _, raw = entry.partition(b"\n")
    try:
        known = json.loads(line)
        size, limit = known["too_large"], known["limit"]
        letter = {
            "reason": f"too_large: the queue entry is {size} bytes, the limit is {limit}",
            "kept_at": datetime.fromtimestamp(known["kept_at"] / 1000, UTC).isoformat(),
            "queue": queue_of(known["list"]),
            "list": known["list"],
            "unique": known["unique"],
            "raw": base64.b64encode(raw).decode(),
        }
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return entry
    return json.dumps(letter).encode()


def document_of(
    message: Any,  # noqa: ANN401 - kombu has no types
    reason: str,
    *,
    task_id: str | None = None,
    problems: Sequence[Problem] = (),
) -> dict[str, Any]:
    """Return the document of a message that kombu has delivered, for brokers other than Redis.

    It lacks the message's body, which :func:`completed` adds.
    """
    return {
        "reason": reason,
        "kept_at": datetime.now(UTC).isoformat(),
        "queue": None,  # the routing key in delivery_info is the queue
        "task_id": task_id,
        "problems": list(problems),
        "unique": str(uuid.uuid4()),
        "headers": message.headers,
        "properties": {
            name: value
            for name, value in message.properties.items()
            if name != "application_headers" and _is_json(value)  # they are the headers
        },
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "delivery_info": message.delivery_info,
    }


def completed(document: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """Return a document of :func:`document_of` with the message's body."""
    return {**document, "body": base64.b64encode(body).decode()}


def parts_of(raw: bytes) -> dict[str, Any]:
    """Return the readable parts of a raw message, under the names of the document."""
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
    """Parse with Python's own parser, as kombu does: it accepts NaN and lone surrogates."""
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
            pass  # not base64 after all: keep it as text
        else:
            return body
    return base64.b64encode(as_bytes(body)).decode()


def _serialized(letter: Mapping[str, Any], parts: Mapping[str, Any]) -> bytes:
    """Return a letter as JSON; omit the message's parts if they are nested too deeply."""
    try:
        return orjson.dumps({**letter, **parts})
    except TypeError:
        pass  # lone surrogates, or nested deeper than orjson writes
    try:
        return json.dumps({**letter, **parts}).encode()
    except (ValueError, RecursionError):
        return json.dumps(letter).encode()


def as_bytes(body: object) -> bytes:
    """Return the bytes of a body, which kombu may have decoded."""
    if isinstance(body, bytes | memoryview | bytearray):
        return bytes(body)
    return str(body).encode("utf-8", "surrogatepass")


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
