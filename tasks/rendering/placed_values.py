"""Values in styles and scripts of data: each print there goes through a filter for its position.

The filter is written into the source that the engine gets, once, when it is compiled; prints
elsewhere cost nothing. A text of an earlier version that has a print where none may be any more
is rendered as before, escaped.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from html import unescape
from typing import Any, Final

from minijinja import safe

from tasks.rendering import samples
from tasks.rendering.filters.guards import MissingError
from tasks.rendering.html.contexts import positions
from tasks.rendering.html.css_samples import WHOLE
from tasks.rendering.html.css_values import css_text
from tasks.rendering.locale_filters import FilterError, InputError
from tasks.rendering.numbers import Exact
from tasks.rendering.rewriting import Edits
from tasks.rendering.tags import STRING
from tasks.rendering.values import Null

FILTER: Final = "__placed"
"""No template may name a filter that begins like this."""

# What would end the element, or begin a comment in it (HTML standard, section 4.12.1.3).
_IN_JSON: Final = str.maketrans(
    {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
)
_LONGEST_SHOWN: Final = 50
_BRACKETS = re.compile(r"[(\[{][^()\[\]{}]*[)\]}]")
_BY_KIND: Final[Mapping[str, str]] = {
    "colour": "gray",
    "hex": "808080",
    "json": f'"{samples.TEXT}"',
    "name": samples.TEXT,
    "number": "16",
    "part": samples.TEXT,
    "string": samples.TEXT,
    "url": samples.BY_TYPE["url"],
    "word": "16",
}
"""What a preview shows for a value of unknown shape."""
_SAMPLES: Final = frozenset(str(value).lower() for value in samples.BY_TYPE.values())


def placed_edits(source: str) -> Edits:
    """Return a function that filters the prints of styles and data in a source of HTML."""
    edits = Edits()
    for tag, position in positions(source) if "{{" in source else ():
        start = tag.start + source[tag.start : tag.end].index(tag.inner)
        end = start + len(tag.inner)
        otherwise = ' else ""' if _lacks_else(tag.inner) else ""
        arguments = f'"{position.kind}", {tag.start}, {str(position.raw).lower()}'
        edits.opening.append((start, start, "("))
        edits.closing.append((end, end, f"{otherwise})|{FILTER}({arguments})"))
    return edits


def placed_value(
    value: Any,  # noqa: ANN401 - any value of a template
    kind: str,
    *,
    raw: bool,
    invented: Callable[[], str] | None,
) -> str:
    """Return a value as its position needs it: text that is escaped, or safe in its element.

    Parameters
    ----------
    value
        Text, number, or what a template has captured.
    kind
        As :func:`tasks.rendering.html.contexts.positions` has it.
    raw
        Whether no character references are read there.
    invented
        In a trial, where values may be invented, what gives a value of a declaration that can be
        there; one that cannot gives way to it.

    Raises
    ------
    FilterError
        The value is missing, or cannot be there.
    """
    if value is None:
        raise MissingError("a value is missing")
    # A declared number never has the unit that a length needs.
    lacks_unit = kind == "length" and isinstance(value, int | float | Exact)
    if invented is not None and not lacks_unit and _is_invented(value):
        text = _sample(value, kind, invented)
    else:
        text = _json(value) if kind == "json" else css_text(kind, _text(value))
    # Nothing safe may look like a reference that the engine has written for a slash.
    return safe(text.replace("&#", "%26#")) if raw else text


def _is_invented(value: Any) -> bool:  # noqa: ANN401 - any value of a template
    # Perhaps a filter has changed it.
    text = str(value).lower()
    return samples.is_invented(value) or text in _SAMPLES or samples.TEXT in text


def _sample(value: Any, kind: str, invented: Callable[[], str]) -> str:  # noqa: ANN401 - any value of a template
    """Return an invented value if it may be at its position, or else one that may."""
    is_word = str(value).lower() == samples.TEXT
    with suppress(InputError):
        if kind == "json":
            return _json(value)
        if not is_word or kind in {"name", "part", "string"}:
            return css_text(kind, str(value))
    if kind in _BY_KIND:
        return _BY_KIND[kind]
    text = invented()
    return "16px" if kind == "length" and text == WHOLE else text


def named_error(error: FilterError, kind: str, source: str, place: int) -> FilterError:
    """Return an error of :func:`placed_value` that names the print at ``place`` of a source."""
    inner = source[place + 2 : source.find("}}", place)].strip("-+ \t\r\n")
    where = "script" if kind == "json" else "style"
    return type(error)(f"'{inner[:_LONGEST_SHOWN]}' in a {where}: {error}")


def _text(value: Any) -> str:  # noqa: ANN401 - any value of a template
    if isinstance(value, Null):
        raise MissingError("null would be printed")
    if isinstance(value, bool) or not isinstance(value, str | int | float | Exact):
        raise InputError("expected text or a number")
    text = str(value)
    return unescape(text) if hasattr(value, "__html__") else text


def _json(value: Any) -> str:  # noqa: ANN401 - any value of a template
    try:
        json.loads(value)
    except (TypeError, ValueError):
        message = "expected what tojson gives, and nothing else"
        raise InputError(message) from None
    return str(value).translate(_IN_JSON)


def _lacks_else(expression: str) -> bool:
    """Return whether an expression is an ``if`` without ``else``, which prints nothing then."""
    outside, count = STRING.sub(" ", expression), 1
    while count:
        outside, count = _BRACKETS.subn(" ", outside)
    words = outside.split()
    return "if" in words and "else" not in words
