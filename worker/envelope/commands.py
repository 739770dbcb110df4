"""Checks of remote control messages, which ``celery control`` and ``celery inspect`` broadcast.

Celery calls the function that a message names, with the arguments that it brings, in the worker's
main process. Some would end that process, or stop its work: a queue that is a list, a rate limit
below zero, time limits that are text, a pool without processes.
"""

import inspect
import re
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from worker.envelope.destinations import is_reserved
from worker.envelope.fields import LONGEST_ID, is_id

MOST_IDS: Final = 1000
"""Task ids in a message: the worker asks the result backend for the state of each."""
MOST_PROCESSES: Final = 100
"""Processes that a message may add."""
LONGEST_LIMIT: Final = 10**9
"""Seconds."""
HIGHEST_CLOCK: Final = 2**53
"""Of the logical clock: every client's JSON represents whole numbers up to it."""

_RATE: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?(?:/[smh])?", re.ASCII)
_UNAVAILABLE: Final = frozenset({"election", "memdump", "objgraph"})
"""Elections are part of Celery's gossip, which workers do not take part in; the other two need
packages that are not installed."""


def command_problem(
    message: object, commands: Mapping[str, Callable[..., Any]], tasks: Collection[str]
) -> str | None:
    """Return what is wrong with a decoded message, without its values; None if it can be obeyed.

    Parameters
    ----------
    commands
        Celery's functions by name; the first parameter of each is its state.
    tasks
        Names of the tasks that a message may name.
    """
    if not isinstance(message, dict):
        return "expected an object"
    if not message.keys() <= _MEMBERS.keys():
        return f"expected only {', '.join(_MEMBERS)}"
    problems = list(_wrong(message, _MEMBERS, ""))
    if not problems:
        arguments = message.get("arguments") or {}
        problems = list(_argument_problems(message.get("method"), arguments, commands, tasks))
    return "; ".join(problems) or None


def is_clock(value: object) -> bool:
    """Return whether a value of the logical clock can be adopted."""
    return type(value) is int and 0 <= value < HIGHEST_CLOCK


def reply_address(message: object) -> dict[str, str] | None:
    """Return where the sender of a message waits for replies; None if it waits for none."""
    address = message.get("reply_to") if isinstance(message, dict) else None
    return address if _is_address(address) else None


def _argument_problems(
    method: object,
    arguments: dict[str, Any],
    commands: Mapping[str, Callable[..., Any]],
    tasks: Collection[str],
) -> Iterator[str]:
    if method not in commands or method in _UNAVAILABLE:
        yield "method: expected the name of a command"
        return
    signature = inspect.signature(commands[str(method)])
    try:
        signature.bind(None, **arguments)
    except TypeError:
        _state, *parameters = signature.parameters.values()
        names = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
        yield f"arguments: expected {', '.join(names) or 'none'}"
        return
    yield from _wrong(arguments, _ARGUMENTS, "arguments.")
    task = arguments.get("task_name")
    if isinstance(task, str) and task not in tasks:
        yield "arguments.task_name: this service has no task of that name"
    if method == "add_consumer" and not arguments.keys() <= _QUEUE:
        yield f"arguments: expected only {', '.join(sorted(_QUEUE))}"


def _wrong(
    values: dict[str, Any], checks: Mapping[str, tuple[Callable[[Any], bool], str]], place: str
) -> Iterator[str]:
    for name, (is_expected, description) in checks.items():
        if values.get(name) is not None and not is_expected(values[name]):
            yield f"{place}{name}: expected {description}"


def _is_address(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"exchange", "routing_key"}
        and all(map(is_id, value.values()))
    )


def _is_short(value: object) -> bool:
    return value == "" or is_id(value)


def _is_ids(value: object) -> bool:
    return is_id(value) or (
        isinstance(value, list) and len(value) <= MOST_IDS and all(map(is_id, value))
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 0 < value <= MOST_PROCESSES


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= LONGEST_LIMIT
    )


def _is_limit(value: object) -> bool:
    return value != 0 and _is_number(value)


def _is_rate(value: object) -> bool:
    if isinstance(value, str):
        return _RATE.fullmatch(value) is not None
    return _is_number(value)


def _is_signal(value: object) -> bool:
    return (
        isinstance(value, str) and f"SIG{value.removeprefix('SIG')}" in signal.Signals.__members__
    )


def _is_stamps(value: object) -> bool:
    if isinstance(value, list):
        return all(is_id(item) and "=" in item for item in value)
    return isinstance(value, dict) and all(is_id(name) and _is_ids(value[name]) for name in value)


_IDS = (_is_ids, f"an id, or a list of up to {MOST_IDS}")
_SHORT = (_is_short, f"text of at most {LONGEST_ID} bytes")
_COUNT = (_is_count, f"a whole number of 1 to {MOST_PROCESSES}")
_SECONDS = (_is_limit, "a number of seconds")
_MEMBERS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "method": (lambda value: isinstance(value, str), "the name of a command"),
    "arguments": (lambda value: isinstance(value, dict), "an object"),
    "destination": (
        lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
        "a list of node names",
    ),
    "pattern": _SHORT,
    # A regular expression can take longer than any worker lives.
    "matcher": (lambda value: value == "glob", "glob"),
    "reply_to": (_is_address, "an object with exchange and routing_key"),
    "ticket": _SHORT,
}
_ARGUMENTS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "task_name": (is_id, "the name of a task"),
    "queue": (lambda value: is_id(value) and not is_reserved(value), "the name of a queue"),
    "exchange": _SHORT,
    "exchange_type": (lambda value: value in ("direct", "topic"), "direct or topic"),
    "routing_key": _SHORT,
    "task_id": _IDS,
    "ids": _IDS,
    "signal": (_is_signal, "the name of a signal"),
    "headers": (_is_stamps, "an object of stamps"),
    "rate_limit": (_is_rate, "a rate such as 10/m"),
    "hard": _SECONDS,
    "soft": _SECONDS,
    "n": _COUNT,
    "max": _COUNT,
    "min": _COUNT,
    "msg": _SHORT,
    "from_node": _SHORT,
    "revoked": (
        lambda value: isinstance(value, list | dict) and all(map(is_id, value)),
        "a list of ids",
    ),
    "taskinfoitems": (lambda value: isinstance(value, list), "a list of names"),
}
_QUEUE: Final = {"queue", "exchange", "exchange_type", "routing_key"}
