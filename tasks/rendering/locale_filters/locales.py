"""Babel's locales by language tag."""

from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError, localedata

from tasks.rendering.locale_filters.errors import ArgumentError

_LANGUAGES: Final = 32
"""Locales held at a time: each takes about a megabyte."""


@lru_cache(maxsize=_LANGUAGES)
def locale_of(language: str) -> Locale:
    """Return the locale of a tag; for a tag unknown to CLDR, without its last subtags."""
    tag = language
    while tag:
        try:
            locale = Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            tag = tag.rpartition("-")[0]
        else:
            return _with_own_halves(_apart(locale))
    raise ArgumentError("no locale data for this language")


def _apart(locale: Locale) -> Locale:
    """Load a locale's data, and share it with no other locale.

    Babel 2.18 notes what one locale inherits in data that all share: once Hebrew has named a month
    alone, French has the Hebrew name (python-babel/babel, issue 1234). Its cache also keeps all
    locales, which would fill most of a render process's memory.
    """
    localedata._cache.clear()  # noqa: SLF001 - there is no public way
    locale.number_symbols  # noqa: B018 - loads the data, which the locale keeps
    localedata._cache.clear()  # noqa: SLF001 - the same
    return locale


def _with_own_halves(locale: Locale) -> Locale:
    """Return a locale that writes the halves of a day in its own language.

    CLDR abbreviates the Korean ones as AM and PM; ICU, and with it every browser and phone, writes
    the wide forms in all patterns.
    """
    if locale.language == "ko":
        periods = locale.day_periods["format"]
        for half in ("am", "pm"):
            periods["abbreviated"][half] = periods["wide"][half]
    return locale
