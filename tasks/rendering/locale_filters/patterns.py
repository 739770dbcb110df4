"""Patterns of dates and times that are valid but probably not meant (UTS 35)."""

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Final

from babel.dates import DateTimePattern

from tasks.rendering.locale_filters.locales import locale_of

FORMATS: Final = frozenset({"short", "medium", "long", "full"})
MOMENTS: Final = ("date", "time", "datetime")
"""The filters that take a pattern."""

_QUOTED: Final = re.compile(r"'[^']*'")
_LETTERS: Final = re.compile("[A-Za-z]{2,}")
_ZONE: Final = re.compile(r"[A-Z][a-z]+(?:/[A-Z][A-Za-z_]+)+|UTC|GMT")
_OF_STRFTIME: Final = re.compile("%-?[A-Za-z]")
_IN_WORDS: Final = frozenset("DFWaceu")
"""Fields that nobody writes next to another one, but words do: ``de``, ``um``, ``am``."""

_MONTH: Final = re.compile("(?<!M)MMMM(?!M)")
_MONTH_ALONE: Final = re.compile("(?<!L)LLLL(?!L)")
_HOUR_AND_MONTH: Final = re.compile("[hHkK]+[^A-Za-z\x00]?M")


def mistaken(pattern: str) -> str | None:
    """Return the problem of a pattern whose fields are known, with its remedy, or None.

    Most of these print what was meant on most days, so that no test of June finds them.
    """
    bare = _QUOTED.sub("\x00", pattern)
    letters = {letter for letter in bare if letter.isalpha()}
    has_week_year, has_week = "Y" in letters, "w" in letters
    rules = (
        (
            _ZONE.fullmatch(pattern),
            "a time zone has its name: write timezone='Europe/Berlin'",
        ),
        (
            "'" in bare,
            "a quote has no end: write '' for a quote itself",
        ),
        (
            _OF_STRFTIME.search(bare),
            "% is printed as it is: write the fields of CLDR, as in dd.MM.y",
        ),
        (
            any(map(_is_word, _LETTERS.findall(bare))),
            "letters outside of quotes are fields: write words in quotes, as in d 'de' MMMM",
        ),
        (
            has_week_year and not has_week,
            "Y is the week's year, around New Year unlike the date's: write y, or add w",
        ),
        (
            has_week_year and letters & set("MLdDQq"),
            "Y is the week's year, around New Year unlike the date's: write y",
        ),
        (
            has_week and "y" in letters and not has_week_year,
            "w counts the weeks of the year Y, which around New Year is not y: write YYYY",
        ),
        (
            "D" in letters and letters & set("MLd"),
            "D is the day of the year: write d for the day of the month",
        ),
        (_HOUR_AND_MONTH.search(bare), "M is the month: write m for minutes"),
        (
            "m" in letters and not letters & set("hHkK"),
            "m is minutes: write M for the month, or add the hours",
        ),
        (
            letters & set("hK") and "a" not in letters,
            "h and K count twelve hours: write H, or add a for a.m. and p.m.",
        ),
        (
            letters & set("Hk") and "a" in letters and not letters & set("hK"),
            "H counts the hours of the day: write h for a.m. and p.m., or leave a out",
        ),
    )
    return next((message for is_wrong, message in rules if is_wrong), None)


def other_form(pattern: str, language: str) -> str | None:
    """Return the problem of a month that has another form in its place, or None.

    Slavic languages, among others, have the genitive beside a day and the nominative alone: CLDR's
    own patterns say where a language uses which.

    Raises
    ------
    ArgumentError
        CLDR does not know the language.
    """
    bare = _QUOTED.sub("", pattern)
    asks, asks_alone = _MONTH.search(bare) is not None, _MONTH_ALONE.search(bare) is not None
    if not (asks or asks_alone):
        return None
    locale = locale_of(language)
    months = locale.months
    if dict(months["format"]["wide"]) == dict(months["stand-alone"]["wide"]):
        return None
    own = locale.datetime_skeletons
    if asks and "d" not in bare and _has(own, "yMMMM", _MONTH_ALONE):
        return f"MMMM is the form that a month has beside its day in {language}: write LLLL"
    if asks_alone and "d" in bare and _has(own, "MMMMd", _MONTH):
        return f"LLLL is the form that a month has without a day in {language}: write MMMM"
    return None


def _has(patterns: Mapping[str, DateTimePattern], name: str, field: re.Pattern[str]) -> bool:
    return name in patterns and field.search(patterns[name].pattern) is not None


def _is_word(letters: str) -> bool:
    """Return whether letters that follow one another are a word rather than fields."""
    fields = ["".join(same) for _, same in groupby(letters)]
    if len(fields) > 1 and fields[-1] == "a" and fields[-2][0] in "hKms":
        del fields[-1]
    return len(fields) > 1 and not _IN_WORDS.isdisjoint(fields)
