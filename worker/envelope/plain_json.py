"""JSON of producers: decoded fast where it is plain, and never deeper than allowed."""

import json
from typing import Any

import orjson

from tasks.rendering.frames import has_long_number


def decoded(raw: bytes) -> tuple[Any, bool]:
    """Return the JSON in ``raw``, and whether it is plain.

    Plain JSON is that of RFC 8259 in UTF-8 with whole numbers of 64 bits. The rest (lone
    surrogates, numbers that are not finite, longer ones) is decoded as Python's own module does,
    so that the message's model can name its place.

    Raises
    ------
    ValueError
        It is no JSON.
    RecursionError
        It is nested too deeply.
    """
    try:
        if not has_long_number(raw):
            return orjson.loads(raw), True
    except ValueError:
        pass
    return json.loads(raw.decode()), False


def plain(value: object) -> bool:
    """Tell whether ``value`` has a form as plain JSON, that is, whether everyone can read it."""
    try:
        orjson.loads(json.dumps(value))
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def deeper_than(levels: int, value: object) -> bool:
    """Tell whether ``value``, decoded JSON, has more than ``levels`` levels of arrays and objects.

    Level by level instead of by recursion: nothing a producer sends can exhaust the stack.
    """
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        containers = [
            child
            for container in containers
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]
        if not containers:
            return False
    return bool(containers)


def brackets(raw: bytes) -> int:
    """Return how many arrays and objects JSON has at the most: those in texts count too."""
    return raw.count(b"[") + raw.count(b"{")
