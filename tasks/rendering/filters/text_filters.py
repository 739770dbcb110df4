"""Filters of texts; they refuse objects, arrays and booleans, which have no text.

The engine makes text of them as Python writes it, ``{'first': 'Ada'}``, and readers would see it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tasks.rendering.filters.graphemes import clusters
from tasks.rendering.filters.guards import NullError, guarded, missing_at
from tasks.rendering.filters.printf import formatter
from tasks.rendering.locale_filters import InputError
from tasks.rendering.locale_filters.casing import cased
from tasks.rendering.samples import Anything
from tasks.rendering.values import NULL

UNPRINTABLE: Final = {
    "array": ("an array", "use the filter join or list, or a loop"),
    "boolean": ("a boolean", "use if"),
    "object": ("an object", "print one of its members, or use tojson"),
}
"""What has no text: how it is called, and what to do instead."""

_FILTERS: Final = (
    *("capitalize", "format", "indent", "lower", "replace", "string", "striptags", "title"),
    *("trim", "upper"),
)
_CHECKED: Final = ("truncate", "wordwrap")
TEXT_FILTERS: Final = frozenset({*_FILTERS, *_CHECKED})
"""The filters of texts."""

# Python does what the engine does, in a tenth of the time, and knows the ς at the end of a word.
_OF_PYTHON: Final[dict[str, Callable[[str], str]]] = {
    "lower": str.lower,
    "upper": str.upper,
    "capitalize": partial(cased, "capitalize", ""),
    "title": partial(cased, "title", ""),
}


def kind_without_text(value: object) -> str | None:
    """Return the kind of a value that has no text, or None."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list | tuple) else None


def require_text(value: object) -> None:
    """Raise an :class:`InputError` for a value that has no text."""
    kind = kind_without_text(value)
    if kind is not None:
        name, remedy = UNPRINTABLE[kind]
        raise InputError(f"{name} has no text: {remedy}")


def text_filters(
    evaluate: Callable[..., Any], own: dict[str, Callable[..., Any]]
) -> dict[str, Callable[..., Any]]:
    """Return the filters by their names; ``evaluate`` is the engine's, ``own`` are others."""
    filters = {name: _of_text(name, guarded(evaluate, name, f"value|{name}")) for name in _FILTERS}
    filters["format"] = formatter(filters["format"], lambda value: str(filters["string"](value)))
    for name in _CHECKED:
        filters[name] = _of_text(name, own[name])
    for name in ("join", "urlencode"):
        filters[name] = _of_items(name, own[name])
    return filters


def _of_text(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    direct = _OF_PYTHON.get(name)

    def call(value: Any = None, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
        if direct is not None and type(value) is str and not arguments and not keywords:
            return direct(value)
        for each in (value, *(arguments if name == "format" else ())):
            _require_text(name, each)
        if value is NULL:
            raise NullError(f"{name}: null would be printed")
        if isinstance(value, Anything):
            value = str(value)
        return function(value, *arguments, **keywords)

    return call


def _of_items(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(value: Any = None, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
        if name == "urlencode" and not isinstance(value, dict):
            _require_text(name, value)
        elif type(value) is str and name == "join":
            value = clusters(value)
        elif isinstance(value, list | tuple):
            for item in value:
                _require_text(name, item)
            if NULL in value:
                raise NullError(f"{name}: a value is missing{missing_at(value)}")
        return function(value, *arguments, **keywords)

    return call


def _require_text(name: str, value: object) -> None:
    try:
        require_text(value)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
