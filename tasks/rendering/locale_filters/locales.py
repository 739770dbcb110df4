"""Babel's locales by language tag."""

from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError, localedata

from tasks.rendering.locale_filters.errors import ArgumentError

_LANGUAGES: Final = 64
"""Locales held at a time: each takes half a megabyte."""


@lru_cache(maxsize=_LANGUAGES)
def locale_of(language: str) -> Locale:
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
    raise ArgumentError("no locale data for this language")
