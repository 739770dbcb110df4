"""Pieces of markup among the values of a template: results of captures, macros and ``escape``.

To Python such a piece is text with ``__html__``. The engine prints it as it is, but its ``~`` makes
plain text of it, which is escaped once more; the filters that are written in Python would too.
"""

from collections.abc import Callable
from html import escape, unescape
from typing import Any, Final

from minijinja import safe

from tasks.rendering.locale_filters import ArgumentError

# Filters of locales that put texts together.
_COMBINING: Final = frozenset({"list", "plural"})
_CUTTING: Final = frozenset({"pprint", "reverse", "truncate", "urlencode", "wordwrap"})
# A reference such as &#x27; has the sign for which plural puts its number.
_REFERENCE: Final = "&#"
_PROTECTED: Final = "&\x02"


def is_markup(value: object) -> bool:
    """Return whether a value is a piece of markup."""
    return hasattr(value, "__html__")


def checked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that refuses the markup whose tags it would cut or change."""
    if name not in _CUTTING:
        return function

    def call(value: Any = None, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - any value of a template
        return function(_text(name, value), *arguments, **keywords)

    return call


def localized(name: str, function: Callable[..., str]) -> Callable[..., str]:
    """Return a filter of locales, called with a language and a value, that takes markup too.

    What puts texts together gives markup where one of them is; others take the text that markup
    without tags shows.
    """

    def call(language: str, value: Any, *arguments: Any, **keywords: Any) -> str:  # noqa: ANN401 - any value of a template
        items = value if name == "list" and isinstance(value, list | tuple) else (value,)
        if not any(map(is_markup, (*items, *arguments, *keywords.values()))):
            return function(language, value, *arguments, **keywords)
        if name in _COMBINING:
            if name == "list":
                value = [_protected(item) for item in items]
            elif is_markup(value):
                value = unescape(value)
            given = {key: _protected(each) for key, each in keywords.items()}
            result = function(language, value, *arguments, **given)
            return safe(result.replace(_PROTECTED, _REFERENCE))
        given = {key: _text(name, each) for key, each in keywords.items()}
        others = [_text(name, each) for each in arguments]
        return function(language, _text(name, value), *others, **given)

    return call


def refusal(name: str) -> ArgumentError:
    """Return the error of a filter that does not take markup."""
    return ArgumentError(
        f"{name}: cannot be applied to markup, such as a {{% set %}} block or a macro gives: "
        "apply it to the values inside"
    )


def _protected(value: Any) -> Any:  # noqa: ANN401 - any value of a template
    if not isinstance(value, str):
        return value
    text = str(value) if is_markup(value) else escape(value)
    return text.replace(_REFERENCE, _PROTECTED)


def _text(name: str, value: Any) -> Any:  # noqa: ANN401 - any value of a template
    """Return the text that a piece of markup without tags shows, and other values as they are."""
    if not is_markup(value):
        return value
    if "<" in value:
        raise refusal(name)
    return unescape(value)
