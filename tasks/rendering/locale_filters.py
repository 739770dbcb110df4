"""The template filters that write values as a language does: pure, no I/O but for CLDR's data.

Numbers, dates, plurals and lists follow the Unicode CLDR (Unicode Technical Standard 35) as Babel
has it, whatever the machine's locale. Digits are the Western ones in every language, since Babel
has no others.

A filter is called with the canonical BCP 47 tag of the language of the text in which it stands,
the value, and the arguments that the template gives. It returns text, or raises a
:class:`FilterError` whose message begins with the filter's name.
"""

import datetime as dt
import inspect
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import cache, lru_cache
from importlib import resources
from typing import Final, cast
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError, localedata
from babel.core import get_global
from babel.dates import DateTimeFormat, get_timezone_name
from babel.dates import parse_pattern as parse_date_pattern
from babel.numbers import (
    NumberPattern,
    get_currency_precision,
    get_currency_symbol,
    get_decimal_precision,
    get_minus_sign_symbol,
    parse_pattern,
)


class FilterError(ValueError):
    """A filter cannot be applied; the message tells what was expected, and never a value."""


class ArgumentError(FilterError):
    """What the template gives beside the value is wrong: the template is at fault."""


class InputError(FilterError):
    """The value does not fit the filter: the values are at fault."""


def currency(language: str, value: object, /, code: object, digits: object = None) -> str:
    """Return an amount of money, such as ``1.234,50 €``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        A number of :func:`number`; text is exact, a float is what it prints as.
    code
        ISO 4217 code in capitals. A code that CLDR has no sign for stands for itself.
    digits
        Fraction digits, 0 to 10; by default those of the currency (CLDR, currencyData), such as
        2 for EUR and 0 for JPY. Half is rounded to even.

    Raises
    ------
    ArgumentError, InputError
    """
    if not isinstance(code, str) or code not in get_global("all_currencies"):
        raise ArgumentError("an ISO 4217 code in capitals such as 'EUR' was expected")
    pattern = _currency_pattern(language, code, _digits(digits))
    return _formatted(language, _decimal(value), pattern, code)


def number(language: str, value: object, /, digits: object = None) -> str:
    """Return a number, such as ``1.234,5``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        A JSON number, or text such as ``"12.50"``; between -10**30 and 10**30.
    digits
        Fraction digits, 0 to 10. By default those that the value has, 3 at most: text keeps its
        zeros (``"12.50"`` shows two digits), a JSON number shows none at its end.

    Raises
    ------
    ArgumentError, InputError
    """
    fixed = _digits(digits)
    if fixed is None:
        return _shown(language, value)
    return _formatted(language, _decimal(value), _number_pattern(language, fixed))


def percent(language: str, value: object, /, digits: object = None) -> str:
    """Return a ratio in hundredths: 0.25 gives ``25 %``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        A number of :func:`number`.
    digits
        Fraction digits, 0 to 10; by default those of CLDR's pattern, which are none.

    Raises
    ------
    ArgumentError, InputError
    """
    pattern = _percent_pattern(language, _digits(digits))
    return _formatted(language, _decimal(value), pattern)


def date(
    language: str,
    value: object,
    /,
    format: object = "medium",  # noqa: A002 - templates give it by this name
    timezone: object = "UTC",
) -> str:
    """Return a date, such as ``31.01.2026``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        ISO 8601 text: a date, which stays as it is, or a date and time, which is first brought
        into the time zone.
    format
        ``short``, ``medium``, ``long``, ``full``, or a pattern of at most 100 characters
        (Unicode Technical Standard 35, part 4, section "Date Format Patterns") with fields of
        dates only.
    timezone
        Name of the IANA time zone database.

    Raises
    ------
    ArgumentError, InputError
    """
    pattern = _date_pattern(language, _format(format, _DATE_FIELDS))
    zone = _zone(timezone)
    parsed = _parsed(value, "a date such as 2026-01-31 was expected, or a date and time")
    # A date is the same day everywhere.
    day = parsed if _DATE.fullmatch(str(value)) else _local(parsed, zone)
    return _date_text(language, pattern, day)


def time(
    language: str,
    value: object,
    /,
    format: object = "short",  # noqa: A002 - templates give it by this name
    timezone: object = "UTC",
) -> str:
    """Return a time of day, such as ``14:30``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        ISO 8601 date and time as text; without an offset it is UTC.
    format
        As for :func:`date`, with fields of times and time zones only.
    timezone
        Name of the IANA time zone database.

    Raises
    ------
    ArgumentError, InputError
    """
    pattern = _time_pattern(language, _format(format, _TIME_FIELDS))
    zone = _zone(timezone)
    return _date_text(language, pattern, _local(_moment(value), zone))


def datetime(
    language: str,
    value: object,
    /,
    format: object = "medium",  # noqa: A002 - templates give it by this name
    timezone: object = "UTC",
) -> str:
    """Return a date and time, such as ``31.01.2026, 14:30:00``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        ISO 8601 date and time as text; without an offset it is UTC.
    format
        As for :func:`date`, with fields of dates, times and time zones.
    timezone
        Name of the IANA time zone database.

    Raises
    ------
    ArgumentError, InputError
    """
    pattern = _datetime_pattern(language, _format(format, _DATE_FIELDS + _TIME_FIELDS))
    zone = _zone(timezone)
    return _date_text(language, pattern, _local(_moment(value), zone))


def plural(language: str, value: object, /, **forms: object) -> str:
    """Return the form that goes with a number, ``#`` replaced by the number.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        A number of :func:`number`. Its form is that of the digits that are shown, so that "1"
        and "1.0" may have different ones (Unicode Technical Standard 35, part 3, section
        "Plural rules syntax").
    forms
        Text of at most 2000 characters for each of the categories zero, one, two, few, many and
        other that whole numbers have in the language. A category that only other numbers have
        can be left out, and ``other`` takes its place.

    Raises
    ------
    ArgumentError
        A category is unknown, or one is missing.
    InputError
        The value is no number, or needs ``other``, which the template does not give.
    """
    if not forms or not set(forms) <= set(_PLURALS):
        raise ArgumentError(f"forms were expected, named by {', '.join(_PLURALS)}")
    for form in forms.values():
        if not isinstance(form, str) or len(form) > _FORM_CHARACTERS:
            raise ArgumentError(f"text of at most {_FORM_CHARACTERS} characters was expected")
    if missing := [name for name in _needed(language) if name not in forms]:
        raise ArgumentError(f"{language} also needs {', '.join(missing)}")
    rounded, digits = _visible(value)
    form = forms.get(_category(language, rounded), forms.get("other"))
    if form is None:
        raise InputError("a whole number was expected, as the template gives no form other")
    text = _formatted(language, rounded, _number_pattern(language, digits))
    return str(form).replace("#", text)


def listed(language: str, value: object, /, style: object = "and") -> str:
    """Return the items of an array as a list in words, such as ``a, b und c``.

    Parameters
    ----------
    language
        Canonical BCP 47 tag.
    value
        Array of text and numbers, at most 1000 with 100000 characters together. A number is
        written as by :func:`number`; text stays as it is. An empty array gives empty text.
    style
        ``and``, ``or``, or ``unit`` for parts of one measure, which have no word between them
        (CLDR, list patterns).

    Raises
    ------
    ArgumentError, InputError
    """
    if not isinstance(style, str) or style not in _LIST_STYLES:
        raise ArgumentError(f"one of the styles {', '.join(_LIST_STYLES)} was expected")
    _refuse_missing(value)
    if not isinstance(value, list | tuple):
        raise InputError("an array was expected")
    # The text is copied for each item, so that time goes with the product of both.
    if len(value) > _LIST_ITEMS:
        raise InputError(f"an array of at most {_LIST_ITEMS} items was expected")
    items = [_item(language, item) for item in value]
    if sum(map(len, items)) > _LIST_CHARACTERS:
        raise InputError(f"items of at most {_LIST_CHARACTERS} characters together were expected")
    return _joined(items, _list_patterns(language, style))


_LANGUAGES: Final = 64
"""Locales held at a time: each takes half a megabyte."""

_PLURALS: Final = ("zero", "one", "two", "few", "many", "other")
_FORM_CHARACTERS: Final = 2000
_COUNTS: Final = range(201)
"""Whole numbers that show which categories an author has to give: those of everyday counts."""

# CLDR's types of list patterns by style. Of the later ones a language may have parts only, as
# German has of unit-short, and inherits the others from those before (which Babel does not do).
_LIST_STYLES: Final[Mapping[str, tuple[str, ...]]] = {
    "and": ("standard",),
    "or": ("or",),
    "unit": ("standard", "unit-short", "unit"),
}
_LIST_ITEMS: Final = 1000
_LIST_CHARACTERS: Final = 100_000

_MAX_DIGITS: Final = 10
_MOST_VISIBLE_DIGITS: Final = 3  # as in CLDR's pattern of most languages, #,##0.###
_BOUND: Final = 10**30
_PLAIN_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
# Room for all digits of a value, which the default of 28 has not.
_EXACT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)

_FORMATS: Final = ("short", "medium", "long", "full")
_PATTERN_CHARACTERS: Final = 100
# Of UTS 35's fields those that Babel writes as it says, in every language: O, S, A, b, B, v and V
# go wrong for some values or languages, and g is unknown to it.
_DATE_FIELDS: Final = "GyYuQqMLwWdDFEec"
_TIME_FIELDS: Final = "ahHKkmszZxX"
_QUOTED = re.compile("'[^']*'")
_LETTER = re.compile("[A-Za-z]")
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT_CHARACTERS: Final = 40
_YEARS_EXPECTED: Final = "a year from 1 to 9999 was expected, in the time zone too"
_HOUR: Final = dt.timedelta(hours=1)
_IRISH_ZONES: Final = frozenset({"Europe/Dublin", "Eire"})


class _Fields(DateTimeFormat):
    """Babel's fields of dates and times, with two mistakes about time zones mended."""

    def format_timezone(self, char: str, num: int) -> str:
        value = cast("dt.datetime", self.value)
        offset = value.utcoffset() or dt.timedelta(0)
        if char == "z" and cast("ZoneInfo", value.tzinfo).key in _IRISH_ZONES:
            # Irish law, and so the database, has summer as standard; CLDR's names do not.
            text = get_timezone_name(
                value,
                "short" if num < len("zzzz") else "long",
                locale=self.locale,
                zone_variant="daylight" if offset else "standard",
            )
        else:
            text = super().format_timezone(char, num)
        if offset < dt.timedelta(0) and offset % _HOUR:
            # Babel rounds the hours down, so that Newfoundland's -03:30 reads -04:30.
            hours = -(offset // _HOUR)
            text = text.replace(f"-{hours:02d}", f"-{hours - 1:02d}")
        return text


@lru_cache(maxsize=_LANGUAGES)
def _locale(language: str) -> Locale:
    """Return the locale of a tag; of one that CLDR has not, that of the tag without its end."""
    # Babel never forgets a locale, and all that it has fill most of a render process's memory.
    if len(localedata._cache) > _LANGUAGES:  # noqa: SLF001 - there is no public way
        localedata._cache.clear()  # noqa: SLF001 - the same
    tag = language
    while tag:
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            tag = tag.rpartition("-")[0]
    raise ArgumentError("there is no locale data for this language")


def _refuse_missing(value: object) -> None:
    if value is None:
        raise InputError("a value is missing: it is undefined or null")


def _digits(digits: object) -> int | None:
    if digits is None:
        return None
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= _MAX_DIGITS:
        raise ArgumentError(f"a whole number of digits from 0 to {_MAX_DIGITS} was expected")
    return digits


def _decimal(value: object) -> Decimal:
    """Return a number as it is written."""
    _refuse_missing(value)
    if isinstance(value, str):
        if _PLAIN_DECIMAL.fullmatch(value):
            return Decimal(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        # NaN is not less than anything.
        if abs(value) < _BOUND:
            return Decimal(repr(value) if isinstance(value, float) else value)
        if isinstance(value, int) or math.isfinite(value):
            raise InputError("a number between -10**30 and 10**30 was expected")
    raise InputError("a number was expected, or text such as '12.50'")


def _visible(value: object) -> tuple[Decimal, int]:
    """Return a number rounded to the digits that are shown of it, and how many of a fraction."""
    exact = _decimal(value)
    if isinstance(value, str):
        digits = min(_MOST_VISIBLE_DIGITS, len(value.partition(".")[2]))
    else:
        digits = get_decimal_precision(_rounded(exact, _MOST_VISIBLE_DIGITS))
    return _rounded(exact, digits), digits


def _rounded(value: Decimal, digits: int) -> Decimal:
    # The sum has no sign where only zeros are left: -0 is no number to a reader.
    return _EXACT.add(value.quantize(Decimal(1).scaleb(-digits), context=_EXACT), 0)


def _shown(language: str, value: object) -> str:
    rounded, digits = _visible(value)
    return _formatted(language, rounded, _number_pattern(language, digits))


def _formatted(
    language: str, value: Decimal, pattern: NumberPattern, code: str | None = None
) -> str:
    with localcontext(_EXACT):
        rounded = _rounded(value, pattern.frac_prec[1] + pattern.scale)
        return str(pattern.apply(rounded, _locale(language), currency=code, currency_digits=False))


@lru_cache(maxsize=1024)
def _number_pattern(language: str, digits: int) -> NumberPattern:
    locale = _locale(language)
    return _pattern(locale, locale.decimal_formats[None].pattern, digits)


@lru_cache(maxsize=1024)
def _percent_pattern(language: str, digits: int | None) -> NumberPattern:
    locale = _locale(language)
    return _pattern(locale, locale.percent_formats[None].pattern, digits)


@lru_cache(maxsize=1024)
def _currency_pattern(language: str, code: str, digits: int | None) -> NumberPattern:
    locale = _locale(language)
    text = locale.currency_formats["standard"].pattern
    sign = get_currency_symbol(code, locale)
    # UTS 35, part 3, "Currencies", currencySpacing, which Babel leaves out: "CHF 5", but "$5".
    if unicodedata.category(sign[-1])[0] not in "SZ":
        text = re.sub("¤(?=#)", "¤\u00a0", text)
    if unicodedata.category(sign[0])[0] not in "SZ":
        text = re.sub("(?<=0)¤", "\u00a0¤", text)
    return _pattern(locale, text, get_currency_precision(code) if digits is None else digits)


def _pattern(locale: Locale, text: str, digits: int | None) -> NumberPattern:
    """Return a pattern with as many fraction digits, or its own."""
    pattern = parse_pattern(text)
    if digits is not None:
        pattern.frac_prec = (digits, digits)
    # UTS 35, part 3, "Special Pattern Characters": both stand for the language's signs, which in
    # Arabic, say, have a mark that keeps them before the digits. Babel prints them as they are.
    signs = str.maketrans(
        {
            "-": get_minus_sign_symbol(locale),
            "%": locale.number_symbols["latn"].get("percentSign", "%"),
        }
    )
    positive, negative = pattern.prefix
    pattern.prefix = (positive.translate(signs), negative.translate(signs))
    positive, negative = pattern.suffix
    pattern.suffix = (positive.translate(signs), negative.translate(signs))
    return pattern


def _category(language: str, value: Decimal) -> str:
    with localcontext(_EXACT):
        return str(_locale(language).plural_form(value))


@lru_cache(maxsize=1024)
def _needed(language: str) -> tuple[str, ...]:
    """Return the categories that whole numbers have in a language."""
    categories = {_category(language, Decimal(count)) for count in _COUNTS}
    return tuple(name for name in _PLURALS if name in categories)


@lru_cache(maxsize=1024)
def _list_patterns(language: str, style: str) -> Mapping[str, str]:
    types = _locale(language).list_patterns
    patterns: dict[str, str] = {}
    for name in _LIST_STYLES[style]:
        patterns |= types.get(name, {})
    return patterns


def _item(language: str, item: object) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise InputError("an array of text and numbers was expected")
    return _shown(language, item)


def _joined(items: Sequence[str], patterns: Mapping[str, str]) -> str:
    """Return a list as UTS 35 has it, part 2, section "List Patterns"."""
    if len(items) <= 1:
        return "".join(items)
    first, *middle, last = items
    if not middle:
        return patterns["2"].format(first, last)
    text = patterns["start"].format(first, middle[0])
    for item in middle[1:]:
        text = patterns["middle"].format(text, item)
    return patterns["end"].format(text, last)


@cache
def _zones() -> frozenset[str]:
    """Return the names of the time zone database.

    ``zoneinfo.available_timezones`` adds what else lies in the machine's folder.
    """
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


def _zone(name: object) -> ZoneInfo:
    if not isinstance(name, str) or name not in _zones():
        raise ArgumentError("a time zone of the IANA database such as 'Europe/Berlin' was expected")
    return ZoneInfo(name)


def _format(value: object, fields: str) -> str:
    if isinstance(value, str) and len(value) <= _PATTERN_CHARACTERS and _is_format(value, fields):
        return value
    raise ArgumentError(
        f"one of the formats {', '.join(_FORMATS)} was expected, or a pattern of at most"
        f" {_PATTERN_CHARACTERS} characters: fields out of {fields}, and text in single quotes"
    )


@lru_cache(maxsize=1024)
def _is_format(text: str, fields: str) -> bool:
    if text in _FORMATS:
        return True
    bare = _QUOTED.sub("", text)
    letters = set(_LETTER.findall(bare))
    # Babel drops text behind a quote without an end, and prints letters that it does not know.
    if "'" in bare or not letters or not letters <= set(fields):
        return False
    try:
        parse_date_pattern(text)
    except ValueError:
        return False
    return True


def _moment(value: object) -> dt.datetime:
    if isinstance(value, str) and _DATE.fullmatch(value):
        raise InputError("a time was expected behind the date, such as 2026-01-31T12:00:00Z")
    return _parsed(value, "a date and time such as 2026-01-31T12:00:00Z was expected")


def _parsed(value: object, expected: str) -> dt.datetime:
    _refuse_missing(value)
    if not isinstance(value, str) or len(value) > _MOMENT_CHARACTERS or not _DATE.match(value):
        raise InputError(expected)
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise InputError(expected) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def _local(moment: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:
        raise InputError(_YEARS_EXPECTED) from None


def _date_text(language: str, pattern: str, moment: dt.datetime) -> str:
    try:
        return parse_date_pattern(pattern) % _Fields(moment, _locale(language))
    except ValueError:
        # The week of the first and the last day may be one of the year 0 or 10000.
        raise InputError(_YEARS_EXPECTED) from None


def _date_pattern(language: str, text: str) -> str:
    return _locale(language).date_formats[text].pattern if text in _FORMATS else text


def _time_pattern(language: str, text: str) -> str:
    return _locale(language).time_formats[text].pattern if text in _FORMATS else text


def _datetime_pattern(language: str, text: str) -> str:
    if text not in _FORMATS:
        return text
    glue = str(_locale(language).datetime_formats[text])
    return glue.replace("{0}", _time_pattern(language, text)).replace(
        "{1}", _date_pattern(language, text)
    )


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


_NUMBER_USAGE: Final = "no argument but digits was expected"
_MOMENT_USAGE: Final = "no arguments but format and timezone were expected"

FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "currency": _checked("currency", currency, "a code was expected, and at most digits beside it"),
    "number": _checked("number", number, _NUMBER_USAGE),
    "percent": _checked("percent", percent, _NUMBER_USAGE),
    "date": _checked("date", date, _MOMENT_USAGE),
    "time": _checked("time", time, _MOMENT_USAGE),
    "datetime": _checked("datetime", datetime, _MOMENT_USAGE),
    "plural": _checked("plural", plural, "forms were expected by name, such as other='# articles'"),
    "list": _checked("list", listed, "no argument but style was expected"),
}
"""The filters by the names that templates give them.

Each is called with the language, the value, and the arguments of the template; None stands for a
value that is undefined or null.
"""
