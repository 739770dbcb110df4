"""Checks of a message's callbacks: task signatures, which may be nested.

Celery builds and sends callbacks after the task's work is done; if a pool process was lost, in the
worker's main process. A malformed one would fail a finished task, or break the worker.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tasks.errors import Problem
from worker.envelope.fields import LONGEST_ID, is_id
from worker.envelope.signatures import LINKS, PARTS, shape_problem

FORBIDDEN: Final = re.compile(r"maintenance\.")
FIELDS: Final = ("callbacks", "errbacks", "chain", "chord")
MOST_SIGNATURES: Final = 10_000

_A_LIST: Final = (list, "a list of task signatures")
_FIELD_TYPES: Final = {"chord": (dict, "a task signature")}

_MARKED: Final = frozenset({"__type__", "__value__"})
"""Members of the object that kombu writes for types JSON lacks, such as datetime
(kombu/utils/json.py)."""


def callback_problems(embed: Mapping[str, Any], allowed: re.Pattern[str]) -> list[Problem]:
    """Return a problem for each task in ``embed`` that is malformed or forbidden as a callback."""
    problems: list[Problem] = []
    for field in FIELDS:
        value = embed.get(field)
        if value is None:
            continue
        expected_type, description = _FIELD_TYPES.get(field, _A_LIST)
        if not isinstance(value, expected_type):
            problems.append(_problem(field, f"{description} was expected"))
            continue
        problems.extend(_problem(field, message) for message in _signature_problems(value, allowed))
    return problems


def _signature_problems(value: object, allowed: re.Pattern[str]) -> Iterator[str]:
    """Yield the problems of signatures and of all signatures nested in them."""
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
        if FORBIDDEN.match(item["task"]) or allowed.fullmatch(item["task"]) is None:
            yield "calls a task that callbacks may not call"
        problem = shape_problem(item)
        if problem is not None:
            yield problem
            continue
        options = item["options"]
        if item.get("subtask_type"):
            stack.extend(_flat(item["kwargs"].get(part) for part in PARTS))
        stack.extend(_flat(options.get(link) for link in LINKS))


def _flat(values: Iterator[Any]) -> Iterator[object]:
    for value in values:
        if isinstance(value, list):
            yield from value
        elif value is not None:
            yield value


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
