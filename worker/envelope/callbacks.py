"""Callbacks of a message: task signatures, checked as ``celery.canvas`` reads them.

Celery builds and sends them after the task's work is done, in the main process too when a pool
process was lost, so that one which is malformed would spoil a finished task or the worker.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tasks.errors import Problem
from worker.envelope.fields import LONGEST_ID, is_id, moment

FORBIDDEN: Final = re.compile(r"maintenance\.")
FIELDS: Final = ("callbacks", "errbacks", "chain", "chord")
MOST_SIGNATURES: Final = 10_000
HIGHEST_PRIORITY: Final = 255
"""AMQP's."""

_KEYS: Final = frozenset(
    {"task", "args", "kwargs", "options", "subtask_type", "immutable", "chord_size"}
)
"""All that Celery writes. Others would become attributes of its ``Context`` (backends/base.py)."""

_MEMBERS: Final[Mapping[str, tuple[Any, str]]] = {
    "args": (list, "a list"),
    "kwargs": (dict, "an object"),
    "options": (dict, "an object"),
    "immutable": (bool | None, "true or false"),
    "subtask_type": (str | None, "text or null"),
    "chord_size": (int | None, "a whole number"),
}
# What stands in the keyword arguments of each kind of signature (`celery.canvas.Signature.TYPES`).
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "chain": ("tasks",),
    "group": ("tasks",),
    "chord": ("header", "body"),
    "xmap": ("task",),
    "xstarmap": ("task",),
    "chunks": ("task",),
}
_LISTS: Final = frozenset({"tasks", "header"})
_LINKS: Final = ("link", "link_error", "chain", "chord")

_NOT_OPTIONS: Final = frozenset(
    {
        "add_to_parent",
        "app",
        "args",
        "as_execution_options",
        "body",
        "callbacks",
        "children",
        "clear",
        "compression",
        "confirm_timeout",
        "connection",
        "content_encoding",
        "content_type",
        "declare",
        "delivery_info",
        "event_dispatcher",
        "exchange_type",
        "get",
        "group",
        "hostname",
        "id",
        "immediate",
        "is_eager",
        "kwargs",
        "mandatory",
        "message",
        "name",
        "options",
        "producer",
        "properties",
        "publisher",
        "result_cls",
        "retry",
        "retry_policy",
        "router",
        "subtask_type",
        "task",
        "task_type",
        "timeout",
        "type",
        "update",
    }
)
"""Parameters of ``send_task``, ``send_task_message`` and ``Producer.publish``, which a signature
would give a second time or from which they would be called, and attributes of ``Context``."""


def callback_problems(embed: Mapping[str, Any], allowed: re.Pattern[str]) -> list[Problem]:
    """Return a problem for each task in ``embed`` that this service may not or cannot call."""
    problems: list[Problem] = []
    for field in FIELDS:
        value = embed.get(field)
        if not value:
            continue
        if field != "chord" and not isinstance(value, list):
            problems.append(_problem(field, "a list of task signatures was expected"))
            continue
        problems.extend(_problem(field, told) for told in _signature_problems(value, allowed))
    return problems


def _signature_problems(value: object, allowed: re.Pattern[str]) -> Iterator[str]:
    """Yield what is wrong with signatures, however deep they are in one another."""
    stack: list[object] = list(value) if isinstance(value, list) else [value]
    seen = 0
    while stack:
        item = stack.pop()
        seen += 1
        if seen > MOST_SIGNATURES:
            yield f"at most {MOST_SIGNATURES} task signatures were expected"
            return
        if not isinstance(item, dict) or not is_id(item.get("task")):
            yield f"a task signature was expected, with a task name of 1 to {LONGEST_ID} characters"
            continue
        name = item["task"]
        if FORBIDDEN.match(name) or allowed.fullmatch(name) is None:
            yield "calls a task that callbacks may not call"
        told = _shape_problem(item)
        if told is not None:
            yield told
            continue
        options = item["options"]
        for link in _LINKS:
            inner = options.get(link)
            stack.extend(inner if isinstance(inner, list) else [inner] if inner else [])
        for part in _PARTS.get(item.get("subtask_type") or "", ()):
            inner = item["kwargs"][part]
            stack.extend(inner if isinstance(inner, list) else [inner])


def _shape_problem(signature: dict[str, Any]) -> str | None:
    if not signature.keys() <= _KEYS:
        return "a task signature has members that Celery does not know"
    for name, (types, told) in _MEMBERS.items():
        if not isinstance(signature.get(name), types):
            return f"{name} of a task signature: {told} was expected"
    kind = signature.get("subtask_type") or ""
    if kind and kind not in _PARTS:
        return f"subtask_type of a task signature: one of {', '.join(_PARTS)} was expected"
    for part in _PARTS.get(kind, ()):
        inner = signature["kwargs"].get(part)
        if not isinstance(inner, dict) and not (part in _LISTS and isinstance(inner, list)):
            return f"kwargs.{part} of a task signature: task signatures were expected"
    return _option_problem(signature["options"])


def _option_problem(options: dict[str, Any]) -> str | None:
    for name, value in options.items():
        if value is None:
            continue
        if name in _NOT_OPTIONS or name.startswith("_"):
            return "a task signature has an option that is not the producer's to set"
        expected = _OPTIONS.get(name)
        if expected is not None and not expected[0](value):
            return f"options.{name} of a task signature: {expected[1]} was expected"
    return None


def _is_short(value: object) -> bool:
    return value == "" or is_id(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**10


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_time(value: object) -> bool:
    return moment(value) is not None


_ID = (is_id, f"text of 1 to {LONGEST_ID} characters")
_SHORT = (_is_short, f"text of at most {LONGEST_ID} characters")
_COUNT = (_is_count, "a whole number")
_SECONDS = (_is_number, "a number of seconds")
_OPTIONS: Final[Mapping[str, tuple[Any, str]]] = {
    "task_id": _ID,
    "root_id": _ID,
    "parent_id": _ID,
    "group_id": _ID,
    "group_index": _COUNT,
    "reply_to": _SHORT,
    "queue": _ID,
    "exchange": _SHORT,
    "routing_key": _SHORT,
    "route_name": _ID,
    "origin": _SHORT,
    "shadow": _SHORT,
    "argsrepr": (lambda value: isinstance(value, str), "text"),
    "kwargsrepr": (lambda value: isinstance(value, str), "text"),
    "priority": (
        lambda value: _is_count(value) and value <= HIGHEST_PRIORITY,
        "a number of 0 to 255",
    ),
    "delivery_mode": (lambda value: _is_count(value) and value in {1, 2}, "1 or 2"),
    "serializer": (lambda value: value == "json", "json"),
    "countdown": _SECONDS,
    "time_limit": _SECONDS,
    "soft_time_limit": _SECONDS,
    "expiration": _SECONDS,
    "retries": _COUNT,
    "replaced_task_nesting": _COUNT,
    "eta": (_is_time, "an ISO 8601 date and time"),
    "expires": (lambda value: _is_number(value) or _is_time(value), "an ISO 8601 date and time"),
    "ignore_result": (lambda value: isinstance(value, bool), "true or false"),
    "headers": (lambda value: isinstance(value, dict), "an object"),
    "chain": (lambda value: isinstance(value, list), "a list of task signatures"),
    "stamped_headers": (
        lambda value: isinstance(value, list) and all(map(_is_short, value)),
        "a list of names",
    ),
}


def _problem(field: str, message: str) -> Problem:
    return {"path": f"headers.{field}", "type": "header", "message": message}
