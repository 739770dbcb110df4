"""Messages that are not in order, one for each way in which they can be wrong.

Each is the raw entry of a Redis queue. The ids in them are made from their names, so that what
became of each can be looked up. This module has what kombu cannot unpack, `malformed_tasks` what
Celery cannot read.
"""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.support import malformed_tasks
from tests.support.clients import QUEUE, TASK, celery, celery_node, raw
from tests.support.malformed_case import DEEP, SIX_BODIES, Malformed, task_id_of


def _bytes() -> Iterator[Malformed]:
    """Yield what is no message of kombu's."""

    def unanswered(name: str, entry: bytes, path: str = "", kind: str = "undecodable") -> Malformed:
        return Malformed(name, entry, kind, path, answered=False)

    def answered(name: str, entry: bytes) -> Malformed:
        return Malformed(name, entry, "undecodable", "")

    def good(name: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
        return celery(task_id=task_id_of(name)) | members

    yield unanswered("nothing", b"")
    yield unanswered("a space", b" ")
    yield unanswered("a word", b"hello")
    yield unanswered("a number", b"1")
    yield unanswered("null", b"null")
    yield unanswered("true", b"true")
    yield unanswered("a text", b'"hello"')
    yield unanswered("a list", b"[]")
    yield unanswered("a list of a message", b"[" + raw(celery()) + b"]")
    yield unanswered("an empty object", b"{}", "properties", "malformed")
    yield unanswered("zero bytes", b"\x00" * 64)
    yield unanswered("no UTF-8", b"\xff\xfe\xfd")
    yield unanswered("UTF-16", json.dumps(celery()).encode("utf-16"))
    yield unanswered("pickle", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x05hello\x94.")
    yield unanswered("gzip", gzip.compress(raw(celery())))
    yield unanswered("messagepack", b"\x81\xa4body\xa1x")
    yield unanswered("a command of Redis", b"*1\r\n$4\r\nPING\r\n")
    yield unanswered("half of a message", raw(celery())[:400])
    yield unanswered("the end of a message is missing", raw(celery())[:-1])
    yield unanswered("two messages", raw(celery()) * 2)
    yield unanswered("a message and a word", raw(celery()) + b" hello")
    yield unanswered("a byte order mark", b"\xef\xbb\xbf" + raw(celery()))
    yield unanswered("JSON with a comment", b"/* a */" + raw(celery()))
    yield unanswered("JSON with a comma too many", raw(celery())[:-1] + b",}")
    yield unanswered("JSON in single quotes", str(celery()).encode())
    yield unanswered("lists in lists without end", b"[" * DEEP)
    yield unanswered("lists in lists", b"[" * DEEP + b"]" * DEEP)
    objects = b'{"a":' * (DEEP // 10) + b"1" + b"}" * (DEEP // 10)
    yield unanswered("objects in objects", objects)
    many = b'{"a":' * DEEP + b"1" + b"}" * DEEP
    yield unanswered("objects in objects, half a megabyte of them", many, kind="too_large")
    name = "headers as deep as a well"
    deep = raw(good(name, x=0)).replace(b'"x": 0', b'"x": ' + b"[" * DEEP + b"]" * DEEP)
    yield answered(name, deep)
    name = "a number that is none"
    yield answered(name, raw(good(name, x=0)).replace(b'"x": 0', b'"x": NaN'))
    name = "a number that is infinite"
    yield answered(name, raw(good(name, x=0)).replace(b'"x": 0', b'"x": 1e999'))
    name = "a lone surrogate outside of the body"
    yield answered(name, raw(good(name, x="\ud800")))
    name = "an entry larger than any message"
    yield Malformed(name, raw(good(name, body="A" * SIX_BODIES)), "too_large", "")


def _with_an_id() -> Iterator[Malformed]:
    """Yield what is not parsed, and has the id of a task."""
    name = "a header in Latin-1"
    entry = raw(celery(task_id=task_id_of(name)))
    yield Malformed(name, entry.replace(b'"py"', b'"\xe9"'), "undecodable", "")
    name = "a message, and another after it"
    entry = raw(celery(task_id=task_id_of(name)))
    yield Malformed(name, entry + b"\n" + raw(celery()), "undecodable", "")
    name = "an entry too large, of a client that sends its id once"
    large = celery_node() | {"body": "A" * SIX_BODIES}
    large["headers"]["id"] = task_id_of(name)
    yield Malformed(name, raw(large), "too_large", "")


def _wrapper() -> Iterator[Malformed]:
    """Yield what kombu cannot unpack."""

    def bad(
        name: str,
        path: str,
        kind: str = "malformed",
        **members: Any,  # noqa: ANN401 - JSON values
    ) -> Malformed:
        message = celery(task_id=task_id_of(name)) | members
        kept = {key: value for key, value in message.items() if value is not ...}
        return Malformed(name, raw(kept), kind, path)

    yield bad("no body", "body", "undecodable", body=...)
    yield bad("a body that is null", "body", "undecodable", body=None)
    yield bad("a body that is empty", "body", "undecodable", body="")
    yield bad("a body that is a number", "body", "undecodable", body=7)
    yield bad("a body that is a list", "body", "undecodable", body=[[], {}, {}])
    yield bad("a body that is an object", "body", "undecodable", body={"task": TASK})
    yield bad("a body that is no base64", "body", "undecodable", body="!?")
    yield bad("base64 that is cut off", "body", "undecodable", body=celery()["body"][:-3])
    yield bad("base64 of an URL", "body", "undecodable", body="_-_-")
    yield bad("base64 that is not ASCII", "body", "undecodable", body="Zoë=")
    yield bad("no properties", "properties", properties=...)
    yield bad("properties that are null", "properties", properties=None)
    yield bad("properties that are a list", "properties", properties=[])
    yield bad("properties that are text", "properties", properties="x")
    yield bad("headers that are a list", "headers", headers=[1])
    yield bad("headers that are text", "headers", headers="x")
    yield bad("headers that are a number", "headers", headers=7)
    yield bad("no headers", "headers.id", "refused", headers=...)
    yield bad("headers that are null", "headers.id", "refused", headers=None)
    yield bad("headers that are empty", "headers.id", "refused", headers={})
    content = "content-type"
    types: dict[str, Any] = {
        "no content type": ...,
        "a content type that is null": None,
        "a content type that is a number": 7,
        "a content type that is a list": ["application/json"],
        "pickle as the content type": "application/x-python-serialize",
        "YAML as the content type": "application/x-yaml",
        "messagepack as the content type": "application/x-msgpack",
        "raw data as the content type": "application/data",
        "text as the content type": "text/plain",
        "a content type nobody has heard of": "application/x-nonsense",
    }
    for name, value in types.items():
        yield bad(name, content, "refused", **{content: value})
    encoding = "content-encoding"
    encodings: dict[str, Any] = {
        "a content encoding that is a number": 7,
        "a content encoding that is a list": [],
        "a content encoding of UTF-16": "utf-16",
        "a content encoding nobody has heard of": "nonsense",
    }
    for name, value in encodings.items():
        yield bad(name, encoding, "refused", **{encoding: value})


def _properties() -> Iterator[Malformed]:
    """Yield what kombu's channel cannot use."""

    def bad(name: str, member: str, value: Any, kind: str = "refused") -> Malformed:  # noqa: ANN401 - JSON
        message = celery(task_id=task_id_of(name))
        message["properties"][member] = value
        if value is ...:
            del message["properties"][member]
        return Malformed(name, raw(message), kind, f"properties.{member}")

    yield bad("no delivery tag", "delivery_tag", ...)
    yield bad("a delivery tag that is null", "delivery_tag", None)
    yield bad("a delivery tag that is a list", "delivery_tag", ["x"])
    yield bad("no delivery info", "delivery_info", ...)
    yield bad("delivery info that is null", "delivery_info", None)
    yield bad("delivery info that is text", "delivery_info", "render")
    yield bad("delivery info that is empty", "delivery_info", {})
    yield bad("no routing key", "delivery_info", {"exchange": ""})
    yield bad("no exchange", "delivery_info", {"routing_key": QUEUE})
    yield bad("a routing key that is a list", "delivery_info", {"exchange": "", "routing_key": []})
    yield bad("a priority that is a word", "priority", "high")
    yield bad("a priority that is a fraction", "priority", 1.5)
    yield bad("a priority that is true", "priority", value=True)
    yield bad("a priority that is a list", "priority", [])
    yield bad("a priority that is an object", "priority", {})
    yield bad("a body encoding that is a number", "body_encoding", 7, "undecodable")
    yield bad("a body encoding that is a list", "body_encoding", [], "undecodable")
    yield bad("a body encoding nobody has heard of", "body_encoding", "rot13", "undecodable")


@cache
def malformed() -> list[Malformed]:
    """Return all of them; made when they are needed, since packing 32 MiB takes a second."""
    return [
        *_bytes(),
        *_with_an_id(),
        *_wrapper(),
        *_properties(),
        *malformed_tasks.headers(),
        *malformed_tasks.bodies(),
        *malformed_tasks.callbacks(),
    ]
