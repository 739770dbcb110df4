"""Callbacks of a message: task signatures, as many and as deep in one another as there are.

Celery builds and sends them after the task's work is done, in the main process too when a pool
process was lost, so that one which is malformed would spoil a finished task or the worker.
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
_EXPECTED: Final = {"chord": (dict, "a task signature")}

_MARKED: Final = frozenset({"__type__", "__value__"})
"""The members of an object that kombu writes for what is no JSON (kombu/utils/json.py)."""


def callback_problems(embed: Mapping[str, Any], allowed: re.Pattern[str]) -> list[Problem]:
    """Return a problem for each task in ``embed`` that this service may not or cannot call."""
    problems: list[Problem] = []
    for field in FIELDS:
        value = embed.get(field)
        if value is None:
            continue
        expected, told = _EXPECTED.get(field, _A_LIST)
        if not isinstance(value, expected):
            problems.append(_problem(field, f"{told} was expected"))
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
        if FORBIDDEN.match(item["task"]) or allowed.fullmatch(item["task"]) is None:
            yield "calls a task that callbacks may not call"
        told = shape_problem(item)
        if told is not None:
            yield told
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
    """Write the times in options of signatures as text, and tell whether there were any.

    Celery's Python client leaves a ``datetime`` there to kombu, which marks it; where bodies are
    decoded as the JSON that they are, Celery would find an object instead.
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
