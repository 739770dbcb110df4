"""Cutting texts between what a reader sees as characters (Unicode Standard Annex 29).

A flag is two code points, a family seven, an accented letter sometimes two. The engine counts and
cuts code points; so it gets a text with one stand-in for each cluster.
"""

from collections.abc import Callable
from typing import Any, Final

import regex  # type: ignore[import-untyped] # its stubs are a package of their own
from minijinja import safe

from tasks.rendering.locale_filters import InputError
from tasks.rendering.samples import Anything
from tasks.rendering.values import MISSING, Array

_CLUSTER: Final = regex.compile(r"\X")
_FIRST_STAND_IN: Final = 0xF0000
_STAND_INS: Final = 0x10FFFE - _FIRST_STAND_IN
"""Private characters of planes 15 and 16."""


def whole_clusters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter of texts that counts grapheme clusters as characters, and cuts none."""

    def call(value: Any = None, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
        if not isinstance(value, str) or value.isascii():
            return function(value, *arguments, **keywords)
        encoded, clusters = _encoded(str(value))
        if not clusters:
            return function(value, *arguments, **keywords)
        given = safe(encoded) if hasattr(value, "__html__") else encoded
        result = function(given, *arguments, **keywords)
        text = str(result).translate(clusters)
        return safe(text) if hasattr(result, "__html__") else text

    return call


def clusters(value: Any = None) -> Any:  # noqa: ANN401 - any value of a template
    """Return the characters of a text that has some of several code points, or else the value."""
    if not isinstance(value, str) or value.isascii():
        return value
    found = _CLUSTER.findall(str(value))
    return value if len(found) == len(value) else Array(found)


def sliced(value: Any, *bounds: Any) -> Any:  # noqa: ANN401 - any value of a template
    """Return a slice of a text or array; a bound that is left out is an empty text.

    Raises
    ------
    InputError
        The value is neither a text nor an array, or a bound is not a whole number.
    """
    cut = slice(*[bound if type(bound) is int else _bound(bound) for bound in bounds])
    if cut.step == 0:
        raise InputError("expected a step that is not 0")
    if isinstance(value, str):
        text = str(value)
        return text[cut] if text.isascii() else "".join(_CLUSTER.findall(text)[cut])
    if isinstance(value, Anything):
        return value
    if isinstance(value, list | tuple):
        return Array(value[cut])
    raise InputError("expected a text or an array")


def backwards(value: Any = None) -> Any:  # noqa: ANN401 - any value of a template
    """Return a text or array from its end.

    Raises
    ------
    InputError
        The value is neither.
    """
    if value is MISSING or isinstance(value, Anything):
        return value
    if isinstance(value, str):
        return "".join(reversed(_CLUSTER.findall(str(value))))
    if isinstance(value, list | tuple | dict):
        return Array(reversed(value))
    raise InputError("reverse: expected a text or an array")


def _bound(bound: Any) -> int | None:  # noqa: ANN401 - any value of a template
    if isinstance(bound, str):
        if bound:
            raise InputError("expected whole numbers between the brackets")
        return None
    try:
        if bound == int(bound):
            return int(bound)
    except (TypeError, ValueError, ArithmeticError):
        pass
    raise InputError("expected whole numbers between the brackets")


def _encoded(text: str) -> tuple[str, dict[int, str]]:
    """Return a text with stand-ins, and the clusters by their stand-ins."""
    stand_ins: dict[str, str] = {}
    parts: list[str] = []
    for cluster in _CLUSTER.findall(text):
        if len(cluster) == 1 or cluster.isspace():
            parts.append(cluster)
            continue
        if cluster not in stand_ins and len(stand_ins) < _STAND_INS:
            stand_ins[cluster] = chr(_FIRST_STAND_IN + len(stand_ins))
        parts.append(stand_ins.get(cluster, cluster))
    if any(character in text for character in stand_ins.values()):
        return text, {}  # private characters of the value's own
    return "".join(parts), {ord(stand_in): cluster for cluster, stand_in in stand_ins.items()}
