"""Checks of a message's callbacks: task signatures, which may be nested.

Celery builds and sends callbacks after the task's work is done; if a pool process was lost, in the
worker's main process. A malformed one would fail a finished task, or break the worker. One for
another service that names no queue would be sent to a queue of this service, and become a dead
letter with the rendered text in it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tasks.errors import Problem
from worker.envelope.destinations import destination_problem
from worker.envelope.fields import LONGEST_ID, is_id
from worker.envelope.rules import Rules
from worker.envelope.signatures import LINKS, PARTS, shape_problem

FORBIDDEN: Final = re.compile(r"maintenance\.")
FIELDS: Final = ("callbacks", "errbacks", "chain", "chord")
MOST_SIGNATURES: Final = 10_000

_A_LIST: Final = (list, "a list of task signatures")
_FIELD_TYPES: Final = {"chord": (dict, "a task signature")}
_COMPLETED: Final = (("args", list), ("kwargs", dict), ("options", dict))

_MARKED: Final = frozenset({"__type__", "__value__"})
"""Members of the object that kombu writes for types JSON lacks, such as datetime
(kombu/utils/json.py)."""


def callback_problems(embed: Mapping[str, Any], rules: Rules) -> list[Problem]:
    """Return a problem for each task in ``embed`` that is malformed or may not be called."""
    problems: list[Problem] = []
    for field in FIELDS:
        value = embed.get(field)
        if value is None:
            continue
        expected_type, description = _FIELD_TYPES.get(field, _A_LIST)
        if not isinstance(value, expected_type):
            problems.append(_problem(field, f"expected {description}"))
            continue
        problems.extend(_problem(field, message) for message in _signature_problems(value, rules))
    return problems


def _signature_problems(value: object, rules: Rules) -> Iterator[str]:
    """Yield the problems of signatures and of all signatures nested in them."""
    # A stack reverses the order; problems are reported in the order of the message.
    stack: list[object] = list(reversed(_listed(value)))
    seen = 0
    while stack:
        item = stack.pop()
        seen += 1
        if seen > MOST_SIGNATURES:
            yield f"expected at most {MOST_SIGNATURES} task signatures"
            return
        if not isinstance(item, dict) or not is_id(item.get("task")):
            yield f"expected a task signature, with a task name of 1 to {LONGEST_ID} characters"
            continue
        if FORBIDDEN.match(item["task"]) or rules.callbacks.fullmatch(item["task"]) is None:
            yield "calls a task that callbacks may not call"
        problem = shape_problem(item)
        if problem is not None:
            yield problem
            continue
        problem = destination_problem(item, rules.tasks)
        if problem is not None:
            yield problem
        stack.extend(reversed(list(_nested_in(item))))


def _nested_in(signature: dict[str, Any]) -> Iterator[object]:
    """Yield the signatures in the parts and options of a well-formed signature."""
    if signature.get("subtask_type"):
        for part in PARTS:
            yield from _listed(signature["kwargs"].get(part))
    for link in LINKS:
        yield from _listed(signature["options"].get(link))


def _listed(value: object) -> list[Any]:
    """Return a list of signatures: Celery reads one alone, too."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def complete(embed: Mapping[str, Any]) -> bool:
    """Write signatures as Celery's own clients do; return whether anything was changed.

    Its worker fails without the members that are added, and takes the members of a ``link_error``
    that is not a list for the names of tasks when a chord fails (``celery.backends.base``). It
    would call an errback that is a chain with three Python objects, which are not JSON; a group
    around it is sent with the task's id, as other errbacks are.
    """
    changed = False
    sent = embed.get("errbacks")
    errbacks: list[Any] = sent if isinstance(sent, list) else []
    for place, item in enumerate(errbacks):
        if isinstance(item, dict) and item.get("subtask_type") == "chain":
            errbacks[place] = {
                "task": "celery.group",
                "subtask_type": "group",
                "kwargs": {"tasks": [item]},
            }
            changed = True
    stack = [item for field in FIELDS for item in _listed(embed.get(field))]
    while stack:
        item = stack.pop()
        if not isinstance(item, dict) or not isinstance(item.get("task"), str):
            continue  # it is refused as malformed
        for name, kind in _COMPLETED:
            if item.get(name) is None:
                item[name] = kind()
                changed = True
        errback = item["options"].get("link_error") if isinstance(item["options"], dict) else None
        if isinstance(errback, dict):
            item["options"]["link_error"] = [errback]
            changed = True
        for members, names in ((item["options"], LINKS), (item["kwargs"], PARTS)):
            if isinstance(members, dict) and (names is LINKS or item.get("subtask_type")):
                stack += [each for name in names for each in _listed(members.get(name))]
    return changed


def write_out_times(embed: object) -> bool:
    """Replace marked datetimes in signature options with text; return whether there were any.

    Celery's Python client passes a ``datetime`` to kombu, which writes a marked object. This
    service decodes bodies as plain JSON, so Celery would get that object instead of a time.
    """
    changed = False
    stack = [embed]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            options = item.get("options")
            if isinstance(options, dict) and isinstance(item.get("task"), str):
                for name in ("eta", "expires"):
                    at = options.get(name)
                    if (
                        isinstance(at, dict)
                        and at.keys() == _MARKED
                        and at["__type__"] == "datetime"
                    ):
                        options[name] = at["__value__"]
                        changed = True
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return changed


def _problem(field: str, message: str) -> Problem:
    return {"path": f"headers.{field}", "type": "header", "message": message}
