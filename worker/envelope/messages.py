"""Reading and checking of a whole message, before kombu or Celery decode it."""

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson

from tasks.errors import Problem
from worker.envelope import refusals
from worker.envelope.bodies import CONTENT_ENCODINGS, CONTENT_TYPE, Content, content_of, raw_body
from worker.envelope.callbacks import callback_problems
from worker.envelope.fields import is_reachable
from worker.envelope.headers import (
    checked_headers,
    checked_properties,
    chord_problems,
    own_bytes,
)
from worker.envelope.plain_json import brackets, deeper_than
from worker.envelope.refusals import Refusal, RefusedError
from worker.envelope.rules import Rules
from worker.envelope.shown import shown, shown_positional

MOST_BODIES: Final = 4
"""Members named ``body`` that are measured; headers may contain such members too."""

_BODY: Final = re.compile(rb'"body"\s*:\s*"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_IDS: Final = [
    re.compile(rb'"%b"\s*:\s*"([^"\\\x00-\x1f]{1,255})"' % name)
    for name in (b"correlation_id", b"id")
]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message that a task of this service can take.

    Attributes
    ----------
    payload
        The message in kombu's shape, normalised, for ``kombu.transport.virtual.Message``. Its
        ``body`` is bytes and decoded, so that ``properties`` name no encoding of it.
    content
        The parsed body.
    eta
        Earliest start, in seconds since the epoch.
    """

    payload: dict[str, Any]
    task: str
    id: str
    content: Content
    body: bytes
    eta: float | None


class Parts(NamedTuple):
    """A message as AMQP delivers it, unchecked."""

    headers: object
    properties: object
    body: object
    content_type: object
    content_encoding: object = None


def read(raw: bytes, rules: Rules, queue: str | None = None) -> Envelope | Refusal:
    """Return the message in an entry of a Redis queue, or its refusal.

    ``queue`` is the queue that the entry came from. It replaces the producer's routing key, so that
    requeued and retried messages return there.
    """
    try:
        parts, problems, is_deep = _unwrapped(raw, rules, queue)
    except RefusedError as error:
        return error.refusal
    return _checked(parts, rules, problems, is_deep=is_deep)


def oversize(size: int, ends: bytes, rules: Rules) -> Refusal:
    """Return the refusal of a queue entry of which only the ends were fetched."""
    return _over_limit(size, ends, rules).refusal


def check(parts: Parts, rules: Rules) -> Envelope | Refusal:
    """Return the message in parts that a broker delivered, or its refusal."""
    return _checked(parts, rules, [], is_deep=True)


def _unwrapped(raw: bytes, rules: Rules, queue: str | None) -> tuple[Parts, list[Problem], bool]:
    """Return the parts of a queue entry, and whether its headers may be deep."""
    if len(raw) > rules.raw_bytes:
        raise _over_limit(len(raw), raw, rules)
    if len(raw) > rules.around_bytes:
        bodies = islice(_BODY.finditer(raw), MOST_BODIES)
        around = len(raw) - max((len(body[0]) for body in bodies), default=0)
        if around > rules.around_bytes:
            # A megabyte of brackets takes thirty once parsed; a body, being text, takes its size.
            message = f"all but the body is {around} bytes, the limit is {rules.around_bytes}"
            raise RefusedError.too_large(message, _written_id(raw))
    try:
        wrapper = orjson.loads(raw)
    except ValueError as error:
        raise _not_json(raw, error) from None
    if not isinstance(wrapper, dict):
        message = "expected a JSON object with body, headers and properties, as kombu writes it"
        raise RefusedError.at("", refusals.UNDECODABLE, message)
    headers, properties = wrapper.get("headers"), wrapper.get("properties")
    task_id = _task_id(headers, properties)
    if not isinstance(properties, dict):
        message = "expected an object"
        raise RefusedError.at("properties", refusals.MALFORMED, message, task_id)
    wrapped = wrapper.get("body")
    try:
        body = raw_body(wrapped, properties.pop("body_encoding", None))
    except RefusedError as error:
        raise RefusedError(error.with_others((), task_id)) from None
    if len(raw) - len(str(wrapped)) > rules.headers_bytes:
        # A rough size first: the exact one costs as much as parsing the headers.
        size, limit = own_bytes(headers, properties), rules.headers_bytes
        if size > limit:
            message = f"the producer's own headers are {size} bytes, the limit is {limit}"
            raise RefusedError.too_large(message, task_id)
    problems: list[Problem] = []
    _check_delivery(properties, queue, problems)
    parts = Parts(
        headers, properties, body, wrapper.get("content-type"), wrapper.get("content-encoding")
    )
    return parts, problems, brackets(raw) > rules.depth


def _checked(
    parts: Parts, rules: Rules, problems: list[Problem], *, is_deep: bool
) -> Envelope | Refusal:
    headers = {} if parts.headers is None else parts.headers
    properties, body = parts.properties, parts.body
    task_id = _task_id(headers, properties)
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    elif isinstance(body, bytearray | memoryview):
        body = bytes(body)
    if not (isinstance(headers, dict) and isinstance(properties, dict) and isinstance(body, bytes)):
        message = "expected headers and properties that are objects, and a body of bytes"
        return RefusedError.at("headers", refusals.MALFORMED, message, task_id).refusal
    if is_deep and deeper_than(rules.depth, [headers, properties]):
        message = f"expected at most {rules.depth} levels"
        return RefusedError.at("headers", refusals.MALFORMED, message, task_id).refusal
    _check_content(parts, problems)
    clean, eta = checked_headers(headers, rules, problems)
    clean_properties = checked_properties(properties, headers.get("id"), problems)
    limit = rules.bytes_of(headers.get("task"))
    if len(body) > limit:
        message = f"the message is {len(body)} bytes, the limit is {limit}"
        return RefusedError.too_large(message, task_id, problems).refusal
    try:
        content, body = content_of(body, rules)
    except RefusedError as error:
        known = str(headers["id"]) if is_reachable(headers.get("id")) else None
        return error.with_others(problems, known or error.refusal.task_id or task_id)
    if "self" in content.kwargs:
        # Python passes the task by this name.
        problems.append({"path": "self", "type": "extra_forbidden", "message": "unknown keyword"})
    if content.embed:
        problems += callback_problems(content.embed, rules)
        problems += chord_problems(content.embed, headers)
    if problems:
        unknown = all(problem["type"] == refusals.UNKNOWN_TASK for problem in problems)
        kind = refusals.UNKNOWN_TASK if unknown else refusals.REFUSED
        return RefusedError.of(kind, problems, task_id).refusal
    clean["argsrepr"] = shown_positional(content.args)
    clean["kwargsrepr"] = shown(content.kwargs)
    payload = {
        "body": body,
        "content-type": CONTENT_TYPE,
        "content-encoding": "utf-8",
        "headers": clean,
        "properties": clean_properties,
    }
    return Envelope(payload, clean["task"], clean["id"], content, body, eta)


def _check_content(parts: Parts, problems: list[Problem]) -> None:
    if parts.content_type != CONTENT_TYPE:
        message = f"expected {CONTENT_TYPE}"
        problems.append({"path": "content-type", "type": "content_type", "message": message})
    encoding = "" if parts.content_encoding is None else parts.content_encoding
    if not isinstance(encoding, str) or encoding.lower() not in CONTENT_ENCODINGS:
        message = "expected utf-8"
        problems.append({"path": "content-encoding", "type": "content_type", "message": message})


def _check_delivery(properties: dict[str, Any], queue: str | None, problems: list[Problem]) -> None:
    """Check the properties that kombu's virtual transports need, and set the queue to return to."""
    tag = properties.get("delivery_tag")
    if type(tag) is not int and (not isinstance(tag, str) or not tag):
        message = "expected text"
        problems.append({"path": "properties.delivery_tag", "type": "property", "message": message})
    sent = properties.get("delivery_info")
    if not (
        isinstance(sent, dict)
        and isinstance(exchange := sent.get("exchange"), str)
        and isinstance(routing_key := sent.get("routing_key"), str)
    ):
        message = "expected an object with exchange and routing_key"
        problems.append(
            {"path": "properties.delivery_info", "type": "property", "message": message}
        )
        return
    if queue is not None:
        exchange, routing_key = "", queue
    info: dict[str, Any] = {"exchange": exchange, "routing_key": routing_key}
    if sent.get("redelivered") is True:
        info["redelivered"] = True
    properties["delivery_info"] = info


def _task_id(headers: object, properties: object) -> str | None:
    """Return the task id under which the producer waits; Celery's clients send it twice."""
    for place, name in ((headers, "id"), (properties, "correlation_id")):
        if isinstance(place, dict):
            value = place.get(name)
            if is_reachable(value):
                return str(value)
    return None


def _over_limit(size: int, raw: bytes, rules: Rules) -> RefusedError:
    message = f"the queue entry is {size} bytes, the limit is {rules.raw_bytes}"
    return RefusedError.too_large(message, _written_id(raw))


def _written_id(raw: bytes) -> str | None:
    """Find the task id in an entry that cannot be parsed, or is too large for that."""
    for pattern in _IDS:
        if match := pattern.search(raw):
            try:
                return match[1].decode()
            except UnicodeDecodeError:
                continue
    return None


def _not_json(raw: bytes, error: ValueError) -> RefusedError:
    """Return the refusal of an entry that is not plain JSON.

    With the task id, if Python's own parser, which accepts more, can read it, or it can be found.
    """
    task_id = None
    try:
        wrapper = json.loads(raw.decode())
        task_id = _task_id(wrapper.get("headers"), wrapper.get("properties"))
    except (ValueError, RecursionError, AttributeError):
        task_id = _written_id(raw)
    return RefusedError.at("", refusals.UNDECODABLE, f"expected JSON: {error}", task_id)
