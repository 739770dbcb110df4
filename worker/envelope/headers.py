"""Checks of a message's headers and properties: those that Celery 5.7 reads, and their types.

========================= ============================================== ====================
header                    read by                                        if invalid
========================= ============================================== ====================
task, id                  consumer, request, results, events, Flower     refused
retries                   events, ``Task.retry`` (adds one)              refused; null is 0
eta                       strategy, timer                                refused
expires                   strategy, ``revoked``, ``Task.retry``          refused
ignore_result             whether an answer is stored                    refused
compression               kombu's Message, before the body               refused
callbacks, errbacks,      ``Context``, if the body's third part has      refused unless empty
chain, chord              none
group, group_index        the result backend's count of a chord          refused in a chord,
                                                                         else null
root_id, parent_id,       events, Flower's index of tasks, messages      null
origin                    that this one sends
lang, meth                nothing
replaced_task_nesting     messages that this one sends                   0
timelimit, shadow,        the pool, logs, ``revoke_by_stamped_headers``  set by the service
stamps, stamped_headers
argsrepr, kwargsrepr      logs, events, inspect                          set by the service
:data:`CONTEXT_NAMES`     ``Context``, as its own attributes             removed
any other                 sent again with a retry                        unchanged
========================= ============================================== ====================
"""

import time
from contextlib import suppress
from typing import Any, Final

import orjson

from tasks.errors import Problem
from worker.envelope.fields import LONGEST_ID, is_id, moment
from worker.envelope.rules import Rules

CONTEXT_NAMES: Final = frozenset(
    {
        "_children",
        "_filter_x_death_headers",
        "_get_custom_headers",
        "_protected",
        "args",
        "as_execution_options",
        "called_directly",
        "children",
        "clear",
        "correlation_id",
        "delivery_info",
        "get",
        "headers",
        "hostname",
        "is_eager",
        "kwargs",
        "logfile",
        "loglevel",
        "properties",
        "refusal",
        "reply_to",
        "soft_time_limit",
        "taskset",
        "time_limit",
        "update",
        "utc",
    }
)
"""Attributes of ``celery.app.task.Context``, some set by requests. A header of that name would
replace the attribute, and the call of a replaced method would raise a TypeError."""

CELERY_NAMES: Final = CONTEXT_NAMES | frozenset(
    {
        "argsrepr",
        "callbacks",
        "chain",
        "chord",
        "compression",
        "correlation_id",
        "delivery_info",
        "delivery_mode",
        "delivery_tag",
        "errbacks",
        "eta",
        "expires",
        "group",
        "group_index",
        "id",
        "ignore_result",
        "kwargsrepr",
        "lang",
        "origin",
        "parent_id",
        "priority",
        "replaced_task_nesting",
        "reply_to",
        "retries",
        "root_id",
        "shadow",
        "stamped_headers",
        "stamps",
        "task",
        "timelimit",
    }
)
"""Headers and properties of Celery and kombu. All others are the producer's own and have a limit
of size together."""

CALLBACKS: Final = frozenset({"callbacks", "errbacks", "chain", "chord"})
OWN_NAMES: Final = frozenset({"facts", "is_answered", "is_answering"})
"""Attributes that this service gives a ``Context``: see :mod:`tasks.answers` and `tasks.base`."""

REMOVED: Final = CONTEXT_NAMES | CALLBACKS | OWN_NAMES
HIGHEST_PRIORITY: Final = 9
HIGHEST_INDEX: Final = 2**31
MOST_DIGITS: Final = 20


def checked_headers(
    sent: dict[str, Any], rules: Rules, problems: list[Problem]
) -> tuple[dict[str, Any], float | None]:
    """Return the headers for Celery, and the ETA in seconds since the epoch.

    Adds to ``problems``; the headers are valid only if there are none.
    """
    get = sent.get
    headers = sent.copy()
    if not REMOVED.isdisjoint(sent):
        _remove_reserved(headers, problems)
    if not is_id(get("id")):
        problems.append(_problem("id", f"expected printable text of 1 to {LONGEST_ID} bytes"))
    task = get("task")
    if not is_id(task):
        problems.append(_problem("task", "expected the name of a task"))
    elif task not in rules.tasks:
        message = "this service has no task of that name"
        problems.append({"path": "headers.task", "type": "unknown_task", "message": message})
    retries = get("retries")
    if retries is None:
        headers["retries"] = 0
    elif type(retries) is not int or not 0 <= retries <= rules.most_retries:
        message = f"expected a whole number of 0 to {rules.most_retries}"
        problems.append(_problem("retries", message))
    if type(ignore_result := get("ignore_result")) is not bool and ignore_result is not None:
        problems.append(_problem("ignore_result", "expected true, false or null"))
    if get("compression") is not None:
        problems.append(_problem("compression", "compressed messages are refused: send it plain"))
    eta = None
    if get("eta") is not None or get("expires") is not None:
        eta = _times(headers, rules, problems)
    _normalise(headers)
    return headers, eta


def checked_properties(
    sent: dict[str, Any], task_id: object, problems: list[Problem]
) -> dict[str, Any]:
    """Return the properties for kombu and Celery; add to ``problems``."""
    properties = sent.copy()
    reply_to = sent.get("reply_to")
    if reply_to != "" and not is_id(reply_to):
        properties["reply_to"] = None
    if not is_id(sent.get("correlation_id")):
        # Celery's clients send the task id as the correlation id.
        properties["correlation_id"] = task_id
    priority = sent.get("priority")
    if type(priority) is not int or not 0 <= priority <= HIGHEST_PRIORITY:
        properties["priority"] = _priority(priority, problems)
    if sent.get("delivery_mode") not in (None, 1, 2):
        properties["delivery_mode"] = 2
    return properties


def own_bytes(headers: object, properties: dict[str, Any]) -> int:
    """Return the size in bytes of the producer's own headers and properties, as JSON.

    They stay in the main process while the task runs, and are sent again with each retry.
    """
    own = [
        {name: value for name, value in fields.items() if name not in CELERY_NAMES}
        for fields in (headers, properties)
        if isinstance(fields, dict)
    ]
    return len(orjson.dumps(own))


def chord_problems(embed: dict[str, Any], headers: dict[str, Any]) -> list[Problem]:
    """Return the problems of ``group`` and ``group_index``, by which a chord counts results."""
    problems: list[Problem] = []
    if embed.get("chord"):
        group, index = headers.get("group"), headers.get("group_index")
        if group is not None and not is_id(group):
            message = f"expected printable text of 1 to {LONGEST_ID} bytes"
            problems.append(_problem("group", message))
        if index is not None and not _is_index(index):
            problems.append(_problem("group_index", "expected a whole number"))
    return problems


def _remove_reserved(headers: dict[str, Any], problems: list[Problem]) -> None:
    for name in CALLBACKS.intersection(headers):
        if headers[name]:
            message = "callbacks belong into the third part of the body"
            problems.append(_problem(name, message))
    for name in REMOVED.intersection(headers):
        del headers[name]


def _times(headers: dict[str, Any], rules: Rules, problems: list[Problem]) -> float | None:
    eta = None
    for name in ("eta", "expires"):
        value = headers.get(name)
        if value is None:
            continue
        at = moment(value)
        if at is None:
            message = "expected an ISO 8601 date and time from 1970 to 9999, or null"
            problems.append(_problem(name, message))
            continue
        # A format that Celery reads; Python accepts more.
        headers[name] = at.isoformat()
        if name == "eta":
            eta = at.timestamp()
            if eta - time.time() > rules.longest_wait:
                message = f"expected at most {rules.longest_wait:g} seconds ahead"
                problems.append(_problem(name, message))
    return eta


def _normalise(headers: dict[str, Any]) -> None:
    """Set the headers that belong to the service, and reset optional ones of the wrong type."""
    get = headers.get
    for name in ("root_id", "parent_id", "group", "origin", "lang"):
        if (value := get(name)) is not None and not is_id(value):
            headers[name] = None
    if not _is_index(get("group_index")):
        headers["group_index"] = None
    if not _is_index(get("replaced_task_nesting")):
        headers["replaced_task_nesting"] = 0
    headers["timelimit"] = [None, None]
    headers["shadow"] = headers["stamps"] = headers["stamped_headers"] = None


def _priority(value: object, problems: list[Problem]) -> int:
    """Return a priority as kombu reads it: a number or its text, clamped to 0 to 9."""
    if value is None:
        return 0
    if isinstance(value, str) and len(value) <= MOST_DIGITS and value.isascii():
        with suppress(ValueError):
            value = int(value)
    if type(value) is int:
        return max(0, min(HIGHEST_PRIORITY, value))
    message = f"expected a whole number of 0 to {HIGHEST_PRIORITY}, or null"
    problems.append({"path": "properties.priority", "type": "property", "message": message})
    return 0


def _is_index(value: object) -> bool:
    return type(value) is int and 0 <= value < HIGHEST_INDEX


def _problem(name: str, message: str) -> Problem:
    return {"path": f"headers.{name}", "type": "header", "message": message}
