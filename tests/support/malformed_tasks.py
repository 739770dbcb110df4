"""Messages that kombu can unpack, and of which Celery can make no task."""

import base64
import bz2
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.support.clients import EMPTY, KEYWORDS, TASK, celery, gocelery, raw, signature
from tests.support.malformed_case import DEEP, MEGABYTE, Malformed, task_id_of


def headers() -> Iterator[Malformed]:
    """Yield what Celery's request, strategy or tracer cannot read."""

    def bad(name: str, header: str, value: Any, kind: str = "refused") -> Malformed:  # noqa: ANN401 - JSON
        message = celery(task_id=task_id_of(name))
        message["headers"][header] = value
        if value is ...:
            del message["headers"][header]
        return Malformed(name, raw(message), kind, f"headers.{header}")

    tasks: dict[str, Any] = {
        "no task": ...,
        "a task that is null": None,
        "a task that is a number": 7,
        "a task that is a list": [TASK],
        "a task that is an object": {},
        "a task without a name": "",
        "a task with a name too long": "x" * 256,
        "a task with a zero byte in its name": "render.one\x00",
    }
    for name, value in tasks.items():
        yield bad(name, "task", value)
    yield bad("a task nobody has", "task", "no.such.task", "unknown_task")
    yield bad("a task of Celery's own", "task", "celery.map", "unknown_task")
    ids: dict[str, Any] = {
        "no id": ...,
        "an id that is null": None,
        "an id that is a number": 7,
        "an id that is a list": [],
        "an id that is an object": {},
        "an id that is empty": "",
        "an id that is too long": "x" * 256,
        "an id with a zero byte": "a\x00b",
        # 170 characters of two bytes: too long for AMQP, and for the key of a write.
        "an id of too many bytes": "é" * 170,
        "an id of two lines": "a\nb",
    }
    for name, value in ids.items():
        reachable = isinstance(value, str) and 0 < len(value) < 256 and "\x00" not in value
        # The id of another is where an answer would go.
        yield replace(bad(name, "id", value), answered=not reachable)
    retries: dict[str, Any] = {
        "retries that are text": "many",
        "retries that are a digit as text": "0",
        "retries that are true": True,
        "retries that are a fraction": 1.5,
        "retries below nothing": -1,
        "retries without end": 10**9,
        "retries longer than 64 bits": 2**70,
        "retries that are a list": [],
    }
    for name, value in retries.items():
        yield bad(name, "retries", value)
    moments: dict[str, Any] = {
        "a word": "tomorrow",
        "a number": 1_700_000_000,
        "a fraction": 0.5,
        "a list": [],
        "an object": {"__type__": "datetime", "__value__": "2026-01-31T00:00:00"},
        "true": True,
        "empty": "",
        "of the year 1": "0001-01-01T00:00:00+00:00",
        "of the year 1, further east": "0001-01-01T00:00:00+14:00",
        "before 1970": "1969-12-31T23:59:59+00:00",
        "of the last second, further west": "9999-12-31T23:59:59-14:00",
        "of the year 10000": "10000-01-01T00:00:00+00:00",
        "of no day": "2026-02-30T00:00:00+00:00",
        "of no offset": "2026-01-31T00:00:00+99:00",
        "with a zero byte": "2026-01-31\x0000:00:00",
    }
    for name, value in moments.items():
        yield bad(f"an eta that is {name}", "eta", value)
        yield bad(f"an expiry that is {name}", "expires", value)
    yield bad("an eta in the year 9999", "eta", "9999-12-31T23:59:59+00:00")
    yield bad("an eta in a hundred years", "eta", "2126-01-31T00:00:00+00:00")
    yield bad("an ignored result that is text", "ignore_result", "false")
    yield bad("an ignored result that is a number", "ignore_result", 0)
    for field in EMPTY:
        links = [signature()] if field != "chord" else signature()
        yield bad(f"{field} among the headers", field, links)
    compressors: dict[str, Callable[[bytes], bytes]] = {
        "zlib": zlib.compress,
        "gzip": gzip.compress,
        "bzip2": bz2.compress,
    }
    for name, encode in compressors.items():
        bomb = f"{name} in the body"
        packed = {"compression": f"application/x-{name}"}
        message = celery(headers=packed, task_id=task_id_of(bomb))
        message["body"] = base64.b64encode(encode(b"x" * 32 * MEGABYTE)).decode()
        yield Malformed(bomb, raw(message), "undecodable", "body")
    yield bad("a compression nobody has heard of", "compression", "nonsense")
    yield bad("a compression that is a list", "compression", [])
    yield bad("a compression that is empty", "compression", "")


def bodies() -> Iterator[Malformed]:
    """Yield what is not the body of protocol 2."""

    def bad(name: str, body: bytes, kind: str = "malformed") -> Malformed:
        message = celery(task_id=task_id_of(name))
        message["body"] = base64.b64encode(body).decode()
        return Malformed(name, raw(message), kind, "body")

    yield bad("a body of a word", b"hello", "undecodable")
    yield bad("a body of no UTF-8", b"\xff\xfe", "undecodable")
    yield bad("a body of half a message", b'[[], {"a": 1', "undecodable")
    yield bad("a body of more than a message", b"[[], {}, {}] x", "undecodable")
    yield bad("a body with a byte order mark", b"\xef\xbb\xbf[[], {}, {}]", "undecodable")
    yield bad("a body of pickle", b"\x80\x04]\x94(]\x94}\x94N\x86.", "undecodable")
    yield bad("a body of YAML", b"- []\n- {a: 1}\n- null\n", "undecodable")
    yield bad("a body of lists in lists", b"[" * DEEP + b"]" * DEEP, "undecodable")
    yield bad(
        "a body with keywords as deep as a well",
        b'[[], {"a": ' + b"[" * DEEP + b"]" * DEEP + b"}, {}]",
        "undecodable",
    )
    yield bad(
        "a body just deeper than allowed",
        b'[[], {"a": ' + b"[" * 99 + b"]" * 99 + b"}, {}]",
        "undecodable",
    )
    yield bad(
        "a body with callbacks as deep as a well",
        b'[[], {}, {"chain": ' + b"[" * DEEP + b"]" * DEEP + b"}]",
        "undecodable",
    )
    lists = b"[]," * (MEGABYTE // 4)
    yield bad("a body of many lists", b'[[], {"a": [' + lists + b"1]}, {}]", "refused")
    shapes = {
        "a body that is null inside": b"null",
        "a body that is a number inside": b"7",
        "a body that is text inside": b'"hello"',
        "a body that is an object inside": b'{"template_id": "x"}',
        "a body of nothing": b"[]",
        "a body of two parts": b"[[], {}]",
        "a body of four parts": b"[[], {}, {}, {}]",
        "arguments that are null": b"[null, {}, {}]",
        "arguments that are text": b'["x", {}, {}]',
        "arguments that are an object": b"[{}, {}, {}]",
        "keywords that are null": b"[[], null, {}]",
        "keywords that are a list": b"[[], [], {}]",
        "keywords that are text": b'[[], "x", {}]',
        "embed that is text": b'[[], {}, "x"]',
        "embed that is a number": b"[[], {}, 7]",
        "embed that is a list": b"[[], {}, [1]]",
        "embed with more than callbacks": b'[[], {}, {"id": "another"}]',
        "embed with a number that is none": b'[[], {}, {"chain": [NaN]}]',
        "arguments with a lone surrogate": b'[["\\ud800"], {}, {}]',
        "a keyword that is a lone surrogate": b'[[], {"\\ud800": 1}, {}]',
    }
    for name, body in shapes.items():
        yield bad(name, body)
    name = "a keyword of Python's methods"
    entry = bad(name, b'[[], {"self": 1}, {}]').entry
    yield Malformed(name, entry, "refused", "self")
    name = "a body over the limit"
    large = [[], KEYWORDS | {"junk": "x" * MEGABYTE}, EMPTY]
    yield Malformed(name, bad(name, json.dumps(large).encode()).entry, "too_large", "")
    name = "a megabyte of keys"
    keys = {f"key{number}": None for number in range(50_000)}
    entry = raw(celery(headers=keys, task_id=task_id_of(name)))
    yield Malformed(name, entry, "too_large", "")
    name = "protocol 1"
    before = {"task": TASK, "id": task_id_of(name), "args": [], "kwargs": KEYWORDS}
    old = gocelery() | {"body": base64.b64encode(json.dumps(before).encode()).decode()}
    yield Malformed(name, raw(old), "protocol_1", "headers.task")
    name = "protocol 1 with headers"
    message = celery(task_id=task_id_of(name))
    message["body"] = base64.b64encode(json.dumps({"task": TASK, "id": "x"}).encode()).decode()
    yield Malformed(name, raw(message), "protocol_1", "headers.task")


def callbacks() -> Iterator[Malformed]:
    """Yield callbacks that Celery cannot build, or that this service may not call."""

    def bad(name: str, field: str, value: Any) -> Malformed:  # noqa: ANN401 - JSON values
        message = celery({field: value}, task_id=task_id_of(name))
        return Malformed(name, raw(message), "refused", f"headers.{field}")

    def but(**members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
        changed = signature() | members
        return {name: value for name, value in changed.items() if value is not ...}

    for field in EMPTY:
        yield bad(f"{field} that are text", field, "delivery.send")
        yield bad(f"{field} that are a number", field, 7)
        yield bad(f"{field} that are true", field, value=True)
        # Of the wrong one of both: the callback of a chord is single.
        yield bad(f"{field} in the other form", field, EMPTY if field != "chord" else [signature()])
        trap = signature("maintenance.vacuum")
        yield bad(f"{field} to maintenance", field, trap if field == "chord" else [trap])
    callbacks: dict[str, Any] = {
        "a callback that is text": ["delivery.send"],
        "a callback that is null": [None],
        "a callback that is a number": [7],
        "a callback that is a list": [[signature()]],
        "a callback without a task": [but(task=...)],
        "a callback to no name": [but(task="")],
        "a callback to a list": [but(task=[])],
        "a callback with arguments that are text": [but(args="x")],
        "a callback with keywords that are a list": [but(kwargs=[])],
        "a callback without options, so without a queue": [but(options=...)],
        "a callback without a queue": [but(options={})],
        "a callback to a queue of this service": [signature(queue="render")],
        "a callback with options that are a list": [but(options=[])],
        "a callback with a member nobody knows": [but(update=1)],
        "a callback of a kind nobody knows": [but(subtask_type="nonsense")],
        "a callback of a kind that is a list": [but(subtask_type=[])],
        "a callback that is immutable in some other way": [but(immutable="yes")],
        "a callback to another task of Celery's own": [signature("celery.starmap")],
        "a callback to a queue that is a list": [signature(queue=[])],
        "a callback to a queue with a zero byte": [signature(queue="a\x00")],
        "a callback with an id that is a number": [signature(task_id=7)],
        "a callback with an id that is null": [signature(task_id=None)],
        "a callback with a countdown that is text": [signature(countdown="soon")],
        "a callback with an eta that is a word": [signature(eta="soon")],
        "a callback with headers that are text": [signature(headers="x")],
        "a callback in pickle": [signature(serializer="pickle")],
        "a callback with a connection": [signature(connection="redis://elsewhere")],
        "a callback with a producer": [signature(producer=None)],
        "a callback with the name of a method": [signature(update=1)],
        "a callback with a priority that is text": [signature(priority="high")],
        "a callback that links text": [signature(link="x")],
        "a callback that links maintenance": [signature(link=[signature("maintenance.report")])],
        "a callback that chains maintenance": [signature(chain=[signature("maintenance.report")])],
        "a group of text": [
            signature("celery.group") | {"subtask_type": "group", "kwargs": {"tasks": "x"}}
        ],
        "a group of nothing": [signature("celery.group") | {"subtask_type": "group"}],
        "a chord without a body": [
            signature("celery.chord")
            | {"subtask_type": "chord", "kwargs": {"header": [signature()], "body": None}}
        ],
        "a map of maintenance": [
            signature("celery.map")
            | {
                "subtask_type": "xmap",
                "kwargs": {"task": signature("maintenance.report"), "it": []},
            }
        ],
    }
    for name, links in callbacks.items():
        yield bad(name, "callbacks", links)
    name = "a chord without a group"
    counted = celery(
        {"chord": signature()},
        headers={"group": ["x"], "group_index": "first"},
        task_id=task_id_of(name),
    )
    yield Malformed(name, raw(counted), "refused", "headers.group")
