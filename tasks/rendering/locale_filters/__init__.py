"""The template filters that write values as a language does: pure, no I/O but for CLDR's data.

Numbers, dates, plurals and lists follow the Unicode CLDR (Unicode Technical Standard 35) as Babel
has it, whatever the machine's locale; ``cldr.json`` has what Babel leaves out, such as the digits
of a language. The calendar is the Gregorian one in every language, which is the only one of Babel.

A filter is called with the canonical BCP 47 tag of the language of the text in which it is,
the value, and the arguments that the template gives. It returns text, or raises a
:class:`FilterError` whose message begins with the filter's name.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Final

from tasks.rendering.locale_filters.dates import date, datetime, time
from tasks.rendering.locale_filters.errors import ArgumentError, FilterError, InputError
from tasks.rendering.locale_filters.lists import listed
from tasks.rendering.locale_filters.numbers import currency, number, percent
from tasks.rendering.locale_filters.plurals import marked_plural, plural
from tasks.rendering.locale_filters.sizes import filesizeformat
from tasks.rendering.plural_calls import MARKED

__all__ = ["FILTERS", "MARKED_FILTERS", "ArgumentError", "FilterError", "InputError"]


def _checked(name: str, function: Callable[..., str], usage: str) -> Callable[..., str]:
    """Return ``function`` with its name before messages, and an error for a call that is none."""
    signature = inspect.signature(function)

    def call(language: str, value: object, /, *arguments: object, **named: object) -> str:
        try:
            signature.bind(language, value, *arguments, **named)
        except TypeError:
            raise ArgumentError(f"{name}: {usage}") from None
        try:
            return function(language, value, *arguments, **named)
        except FilterError as error:
            raise type(error)(f"{name}: {error}") from None

    return call


_NUMBER_USAGE: Final = "expected no arguments but digits and rounding"
_PLURAL_USAGE: Final = "expected forms by name, such as other='# articles'"
_MOMENT_USAGE: Final = "expected no arguments but format and timezone"

FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "currency": _checked(
        "currency", currency, "expected a code, and optionally digits and rounding"
    ),
    "number": _checked("number", number, _NUMBER_USAGE),
    "percent": _checked("percent", percent, _NUMBER_USAGE),
    "date": _checked("date", date, _MOMENT_USAGE),
    "time": _checked("time", time, _MOMENT_USAGE),
    "datetime": _checked("datetime", datetime, _MOMENT_USAGE),
    "plural": _checked("plural", plural, _PLURAL_USAGE),
    "list": _checked("list", listed, "expected no argument but style"),
    "filesizeformat": _checked("filesizeformat", filesizeformat, "expected no argument but binary"),
}
"""The filters by the names that templates give them.

Each is called with the language, the value, and the arguments of the template; None stands for a
value that is undefined or null.
"""

MARKED_FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    MARKED: _checked("plural", marked_plural, _PLURAL_USAGE)
}
"""Filters that stand for others in a source as the engine gets it."""
