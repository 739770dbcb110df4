"""Decoding of producers' JSON: fast if it is plain, and with limits of depth and size."""

import json
import math
from decimal import Decimal
from typing import Any, Final

import orjson

from tasks.rendering.frames import has_rounded_number

_LARGEST_EXACT: Final = 2**53
_MOST_DIGITS: Final = 60


def decoded(raw: bytes) -> tuple[Any, bool]:
    """Return the JSON in ``raw``, and whether it is plain.

    Plain JSON is JSON of RFC 8259 in UTF-8 with whole numbers of 64 bits. The rest (lone
    surrogates, NaN and infinity, longer numbers) is decoded by Python's own module, so that the
    message's model can report its path.

    Raises
    ------
    ValueError
        Not JSON.
    RecursionError
        Nested too deeply.
    """
    try:
        if not has_rounded_number(raw):
            return orjson.loads(raw), True
    except ValueError:
        pass
    return json.loads(raw.decode(), parse_float=_exact), False


def _exact(text: str) -> float | str:
    """Return a decimal number; where a float would round its whole digits, as it was written.

    A whole number is one then, whatever its point, and any other is a text, as of the type
    ``decimal``.
    """
    number = float(text)
    if abs(number) < _LARGEST_EXACT or math.isinf(number):
        return number
    exact = Decimal(text)
    if Decimal(repr(number)) == exact or exact.adjusted() > _MOST_DIGITS:
        return number
    return int(exact) if exact == exact.to_integral_value() else text


def plain(value: object) -> bool:
    """Return whether ``value`` can be written as plain JSON, which every client can read."""
    try:
        orjson.loads(json.dumps(value))
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def deeper_than(levels: int, value: object) -> bool:
    """Return whether decoded JSON has more than ``levels`` levels of arrays and objects.

    Iterates by level instead of recursing: no message of a producer can exhaust the stack.
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
    """Return an upper bound of the number of arrays and objects: brackets in text count too."""
    return raw.count(b"[") + raw.count(b"{")
