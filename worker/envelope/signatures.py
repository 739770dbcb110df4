"""Checks of a task signature, as ``celery.canvas`` reads it, and of options for ``send_task``."""

from collections.abc import Mapping
from typing import Any, Final

from worker.envelope.fields import LONGEST_ID, is_id, moment
from worker.envelope.headers import CELERY_NAMES
from worker.envelope.rules import CELERY_PREFIX

HIGHEST_PRIORITY: Final = 255
"""AMQP's highest priority."""

_KEYS: Final = frozenset(
    {"task", "args", "kwargs", "options", "subtask_type", "immutable", "chord_size"}
)
"""Members that Celery writes; others would become attributes of ``Context`` (backends/base.py)."""

_MEMBERS: Final[Mapping[str, tuple[Any, str]]] = {
    "args": (list, "a list"),
    "kwargs": (dict, "an object"),
    "options": (dict, "an object"),
    "immutable": (bool | None, "true or false"),
    "subtask_type": (str | None, "text or null"),
    "chord_size": (int | None, "a whole number"),
}
_KINDS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "chain": ("celery.chain", frozenset({"tasks"})),
    "group": ("celery.group", frozenset({"tasks"})),
    "chord": ("celery.chord", frozenset({"header", "body", "kwargs"})),
}
"""Name and keyword arguments of kinds of signatures (``celery.canvas.Signature.TYPES``). Without
``xmap``, ``xstarmap`` and ``chunks``: Celery cannot route one that was read from JSON, since it
takes the signature in it for a name."""

PARTS: Final = ("tasks", "header", "body")
_PART_TYPES: Final[Mapping[str, tuple[Any, str]]] = {
    "tasks": (list, "a list of task signatures"),
    "header": (list | dict, "a list of task signatures"),
    "body": (dict, "a task signature"),
    "kwargs": (dict, "an object"),
}
LINKS: Final = ("link", "link_error", "chain", "chord")

_NOT_OPTIONS: Final = frozenset(
    {
        "_children",
        "_filter_x_death_headers",
        "_get_custom_headers",
        "_protected",
        "app",
        "args",
        "as_execution_options",
        "body",
        "body_encoding",
        "callbacks",
        "called_directly",
        "children",
        "clear",
        "compression",
        "connection",
        "content_encoding",
        "content_type",
        "correlation_id",
        "create_sent_event",
        "declare",
        "delivery_info",
        "delivery_tag",
        "errbacks",
        "eager",
        "event_dispatcher",
        "get",
        "group",
        "header",
        "header_delay",
        "hostname",
        "id",
        "is_eager",
        "it",
        "kwargs",
        "loader",
        "logfile",
        "loglevel",
        "message",
        "n",
        "name",
        "now",
        "options",
        "partial_args",
        "producer",
        "properties",
        "publisher",
        "request",
        "result_cls",
        "router",
        "self",
        "subtask_type",
        "task",
        "task_type",
        "tasks",
        "taskset",
        "timelimit",
        "timezone",
        "type",
        "update",
        "utc",
    }
)
"""Names that are not options: parameters of ``send_task``, ``send_task_message`` and
``Producer.publish``, which would be passed twice or change what is called; attributes of
``Context``."""


def shape_problem(signature: dict[str, Any]) -> str | None:
    """Return the problem of a signature with a task name, without those nested in it."""
    if not signature.keys() <= _KEYS:
        return "a task signature has members that Celery does not know"
    for name, (types, description) in _MEMBERS.items():
        if not isinstance(signature.get(name), types):
            return f"{name} of a task signature: expected {description}"
    return _kind_problem(signature) or _option_problem(signature["options"])


def _kind_problem(signature: dict[str, Any]) -> str | None:
    kind = signature.get("subtask_type") or ""
    name, parts = _KINDS.get(kind, ("", frozenset()))
    if kind and not name:
        return f"subtask_type of a task signature: expected one of {', '.join(_KINDS)}"
    # A task of Celery's own, such as celery.map, could call any other task past its checks.
    if signature["task"] != name and (kind or signature["task"].startswith(CELERY_PREFIX)):
        return "a task signature of Celery's own has its subtask_type and its name"
    if kind and signature["kwargs"].keys() != parts:
        return f"kwargs of a task signature: expected {', '.join(sorted(parts))}"
    for part in parts:
        types, description = _PART_TYPES[part]
        if not isinstance(signature["kwargs"][part], types):
            return f"kwargs.{part} of a task signature: expected {description}"
    if kind == "chain" and not signature["kwargs"]["tasks"]:
        # Celery asks for its first task when it is part of another signature.
        return "kwargs.tasks of a chain: expected at least one task signature"
    return None


def _option_problem(options: dict[str, Any]) -> str | None:
    for name, value in options.items():
        if name in _NOT_OPTIONS:
            return f"options.{name} of a task signature is not the producer's to set"
        is_expected, description = _OPTIONS.get(name, _ANYTHING)
        if not is_expected(value) and (value is not None or name in _NEVER_NULL):
            return f"options.{name} of a task signature: expected {description}"
    if not options.keys() >= set(options.get("stamped_headers") or ()):
        return "options of a task signature: expected each of its stamped_headers"
    return None


def _is_short(value: object) -> bool:
    return value == "" or is_id(value)


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    # Celery refuses less than -2**31 seconds when it sends the message.
    return -(2**31) <= value < 10**10


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_retry_policy(value: object) -> bool:
    return isinstance(value, dict) and all(
        name in _RETRY_POLICY and (_is_number(number) and 0 <= number <= LONGEST_WAIT)
        for name, number in value.items()
    )


def _is_time(value: object) -> bool:
    return moment(value) is not None


_RETRY_POLICY: Final = frozenset({"max_retries", "interval_start", "interval_step", "interval_max"})
LONGEST_WAIT: Final = 60
"""Maximum of retries, and of seconds between them: sending a callback blocks its process."""

_NEVER_NULL: Final = frozenset({"task_id", "chain"})
"""Options whose presence Celery tests, not their value: null would count as set."""

_ANYTHING: Final = (lambda _: True, "")
_ID = (is_id, f"text of 1 to {LONGEST_ID} characters")
_SHORT = (_is_short, f"text of at most {LONGEST_ID} characters")
_TEXT = (lambda value: isinstance(value, str), "text")
_COUNT = (_is_count, "a whole number")
_BOOLEAN = (lambda value: isinstance(value, bool), "true or false")
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
    "shadow": _TEXT,
    "argsrepr": _TEXT,
    "kwargsrepr": _TEXT,
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
    "ignore_result": _BOOLEAN,
    "add_to_parent": _BOOLEAN,
    "immutable": _BOOLEAN,
    "retry": _BOOLEAN,
    "mandatory": _BOOLEAN,
    "immediate": _BOOLEAN,
    "retry_policy": (_is_retry_policy, "an object of numbers"),
    "exchange_type": _SHORT,
    "interval": _SECONDS,
    "max_retries": _COUNT,
    "timeout": _SECONDS,
    "confirm_timeout": _SECONDS,
    # Celery would take its own among them instead of what was checked, "task" for one.
    "headers": (
        lambda value: isinstance(value, dict) and CELERY_NAMES.isdisjoint(value),
        "an object without headers of Celery",
    ),
    "chain": (lambda value: isinstance(value, list), "a list of task signatures"),
    "chord": (lambda value: isinstance(value, dict), "a task signature"),
    "link": (lambda value: isinstance(value, list | dict), "a list of task signatures"),
    "link_error": (lambda value: isinstance(value, list | dict), "a list of task signatures"),
    "stamped_headers": (
        lambda value: isinstance(value, list) and all(map(_is_short, value)),
        "a list of names",
    ),
}
