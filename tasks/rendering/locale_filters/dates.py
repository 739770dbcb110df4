"""Dates, times of day and time zones (Unicode Technical Standard 35, part 4)."""

import datetime as dt
import re
from functools import cache, lru_cache
from importlib import resources
from typing import Final, cast
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import DateTimeFormat
from babel.dates import parse_pattern as parse_date_pattern

from tasks.rendering.locale_filters.cldr import digits, numbering_system
from tasks.rendering.locale_filters.errors import ArgumentError, InputError, refuse_missing
from tasks.rendering.locale_filters.gsm import plain
from tasks.rendering.locale_filters.locales import locale_of
from tasks.rendering.locale_filters.zones import gmt_offset, zone_name
from tasks.rendering.matching.subtags import subtags

_FORMATS: Final = ("short", "medium", "long", "full")
_PATTERN_CHARACTERS: Final = 100
# Of UTS 35's fields those that Babel writes as it says, in every language: O, S, A, b, B, v and V
# go wrong for some values or languages, and g is unknown to it.
_DATE_FIELDS: Final = "GyYuQqMLwWdDFEec"
_TIME_FIELDS: Final = "ahHKkmszZxX"
_QUOTED = re.compile("'[^']*'")
_LETTER = re.compile("[A-Za-z]")
_RUN = re.compile(r"([A-Za-z])\1*")
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT_CHARACTERS: Final = 40
_YEARS_EXPECTED: Final = "expected a year from 1 to 9999, in the time zone too"
_HOUR: Final = dt.timedelta(hours=1)


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
    value
        ISO 8601 text: a date, which stays as it is, or a date and time, which is first brought
        into the time zone.
    format
        ``short``, ``medium``, ``long``, ``full``, or a pattern of at most 100 characters
        (Unicode Technical Standard 35, part 4, section "Date Format Patterns") with fields of
        dates only.
    timezone
        Name of the IANA time zone database.
    """
    pattern = _date_pattern(language, _format(format, _DATE_FIELDS))
    zone = _zone(timezone)
    parsed = _parsed(value, "expected a date such as 2026-01-31, or a date and time")
    # A date is the same day everywhere.
    day = parsed if _DATE.fullmatch(str(value)) else _local(parsed, zone)
    return _date_text(language, format, pattern, day)


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
    value
        ISO 8601 date and time as text; without an offset it is UTC.
    format
        As for :func:`date`, with fields of times and time zones only.
    timezone
        Name of the IANA time zone database.
    """
    pattern = _time_pattern(language, _format(format, _TIME_FIELDS))
    zone = _zone(timezone)
    return _date_text(language, format, pattern, _local(_moment(value), zone))


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
    value
        ISO 8601 date and time as text; without an offset it is UTC.
    format
        As for :func:`date`, with fields of dates, times and time zones.
    timezone
        Name of the IANA time zone database.
    """
    pattern = _datetime_pattern(language, _format(format, _DATE_FIELDS + _TIME_FIELDS))
    zone = _zone(timezone)
    return _date_text(language, format, pattern, _local(_moment(value), zone))


_OF_WEEKS: Final = re.compile("w+|W+|Y+|[ec]{1,2}")
"""Fields that depend on the first day of a week, and on the shortest first week of a year."""


def _regional(language: str) -> Locale:
    """Return the locale of a language in its region, the likeliest where the tag has none.

    Weeks begin as they do in a region: CLDR has no rule of a language's own.
    """
    known = subtags(language)
    return locale_of(f"{known.language}-{known.region}" if known.region else language)


class _Fields(DateTimeFormat):
    """Babel's fields of dates and times, with the digits and time zones of a language."""

    def __init__(self, moment: dt.datetime, language: str) -> None:
        super().__init__(moment, locale_of(language))
        self._language = language
        self._digits = digits(numbering_system(language))

    def __getitem__(self, name: str) -> str:
        is_of_week = _OF_WEEKS.fullmatch(name) is not None
        self.locale = _regional(self._language) if is_of_week else locale_of(self._language)
        text = str(super().__getitem__(name))
        # ISO 8601's offsets have Western digits everywhere.
        if self._digits and name[0] not in "xXZ" and text.isascii() and text.isdecimal():
            text = text.translate(self._digits)
        return plain(self._language, text)

    def format_timezone(self, char: str, num: int) -> str:
        value = cast("dt.datetime", self.value)
        if char == "z":
            return zone_name(self._language, value, is_long=num == len("zzzz"))
        if char == "Z" and num == len("ZZZZ"):
            return gmt_offset(self._language, value, is_long=True)
        text = str(super().format_timezone(char, num))
        offset = value.utcoffset() or dt.timedelta(0)
        if offset < dt.timedelta(0) and offset % _HOUR:
            # Babel rounds the hours down, so that Newfoundland's -03:30 reads -04:30.
            hours = -(offset // _HOUR)
            text = text.replace(f"-{hours:02d}", f"-{hours - 1:02d}")
        return text


@cache
def _zones() -> frozenset[str]:
    """Return the names of the time zone database.

    ``zoneinfo.available_timezones`` adds what else lies in the machine's folder.
    """
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


def _zone(name: object) -> ZoneInfo:
    if not isinstance(name, str) or name not in _zones():
        raise ArgumentError("expected a time zone of the IANA database such as 'Europe/Berlin'")
    return ZoneInfo(name)


def _format(value: object, fields: str) -> str:
    if not isinstance(value, str) or len(value) > _PATTERN_CHARACTERS:
        raise ArgumentError(
            f"expected one of the formats {', '.join(_FORMATS)}, or a pattern of at most"
            f" {_PATTERN_CHARACTERS} characters"
        )
    if (wrong := _wrong_format(value, fields)) is not None:
        raise ArgumentError(
            f"{wrong}; expected one of the formats {', '.join(_FORMATS)}, or a pattern: fields out"
            f" of {fields}, and text in single quotes"
        )
    return value


@lru_cache(maxsize=1024)
def _wrong_format(text: str, fields: str) -> str | None:
    """Return why a text is neither a format nor a pattern; never the text, which may be a value."""
    if text in _FORMATS:
        return None
    bare = _QUOTED.sub("", text)
    letters = set(_LETTER.findall(bare))
    # Babel drops text after a quote without an end, and prints letters that it does not know.
    if "'" in bare:
        return "a quote has no end (a quote itself is written '')"
    if not letters:
        return "a pattern without a field"
    if unknown := sorted(letters - set(fields)):
        where = "" if set(unknown) - set(_DATE_FIELDS + _TIME_FIELDS) else ": write datetime"
        return f"no field {', '.join(unknown)}{where}"
    return next((wrong for run in _RUN.finditer(bare) if (wrong := _too_long(run[0]))), None)


def _too_long(run: str) -> str | None:
    try:
        parse_date_pattern(run)
    except ValueError:
        instead = ": write EEE or EEEE for the day of the week" if run[0] == "d" else ""
        return f"{run} has more letters than a field of {run[0]}{instead}"
    return None


def _moment(value: object) -> dt.datetime:
    if isinstance(value, str) and _DATE.fullmatch(value):
        raise InputError("expected a time after the date, such as 2026-01-31T12:00:00Z")
    return _parsed(value, "expected a date and time such as 2026-01-31T12:00:00Z")


def _parsed(value: object, expected: str) -> dt.datetime:
    refuse_missing(value)
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


def _date_text(language: str, given: object, pattern: str, moment: dt.datetime) -> str:
    try:
        text = parse_date_pattern(pattern) % _Fields(moment, language)
    except ValueError:
        # The week of the first and the last day may be one of the year 0 or 10000.
        raise InputError(_YEARS_EXPECTED) from None
    # In a pattern of the author's own, the words between the fields are the author's.
    return plain(language, text) if given in _FORMATS else text


def _date_pattern(language: str, text: str) -> str:
    return locale_of(language).date_formats[text].pattern if text in _FORMATS else text


def _time_pattern(language: str, text: str) -> str:
    return locale_of(language).time_formats[text].pattern if text in _FORMATS else text


def _datetime_pattern(language: str, text: str) -> str:
    if text not in _FORMATS:
        return text
    glue = str(locale_of(language).datetime_formats[text])
    return glue.replace("{0}", _time_pattern(language, text)).replace(
        "{1}", _date_pattern(language, text)
    )
