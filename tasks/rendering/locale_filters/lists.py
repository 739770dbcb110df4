"""Lists in words (Unicode Technical Standard 35, part 2, section "List Patterns")."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from tasks.rendering.locale_filters.errors import ArgumentError, InputError, refuse_missing
from tasks.rendering.locale_filters.gsm import plain
from tasks.rendering.locale_filters.locales import locale_of
from tasks.rendering.locale_filters.numbers import number_text
from tasks.rendering.outputs import BIDI_CONTROLS

# CLDR's types of list patterns by style. Of the later ones a language may have parts only, as
# German has of unit-short, and inherits the others from those before (which Babel does not do).
_LIST_STYLES: Final[Mapping[str, tuple[str, ...]]] = {
    "and": ("standard",),
    "or": ("or",),
    "unit": ("standard", "unit-short", "unit"),
}
_KINDS: Final = ((bool, "a boolean"), ((list, tuple), "an array"), (dict, "an object"))
_BEFORE_I: Final = re.compile(r"[ií]|h[ií](?![ae])", re.IGNORECASE)
_BEFORE_O: Final = re.compile(r"h?[oó]|8|11(?!\d)", re.IGNORECASE)
_HEBREW: Final = re.compile(r"[\u0590-\u05ff\ufb1d-\ufb4f]")
_LIST_ITEMS: Final = 1000
_LIST_CHARACTERS: Final = 100_000


def listed(language: str, value: object, /, style: object = "and") -> str:
    """Return the items of an array as a list in words, such as ``a, b und c``.

    Parameters
    ----------
    value
        Array of text and numbers, at most 1000 with 100000 characters together. A number is
        written as by :func:`number`; text stays as it is. An empty array gives empty text.
    style
        ``and``, ``or``, or ``unit`` for parts of one measure, which have no word between them
        (CLDR, list patterns).
    """
    if not isinstance(style, str) or style not in _LIST_STYLES:
        raise ArgumentError(f"expected one of the styles {', '.join(_LIST_STYLES)}")
    refuse_missing(value)
    if not isinstance(value, list | tuple):
        raise InputError("expected an array")
    # The text is copied for each item, so that time goes with the product of both.
    if len(value) > _LIST_ITEMS:
        raise InputError(f"expected an array of at most {_LIST_ITEMS} items")
    items = [_item(language, index, item) for index, item in enumerate(value)]
    if sum(map(len, items)) > _LIST_CHARACTERS:
        raise InputError(f"expected items of at most {_LIST_CHARACTERS} characters together")
    return _joined(language, items, _list_patterns(language, style))


@lru_cache(maxsize=1024)
def _list_patterns(language: str, style: str) -> Mapping[str, str]:
    types = locale_of(language).list_patterns
    patterns: dict[str, str] = {}
    for name in _LIST_STYLES[style]:
        patterns |= types.get(name, {})
    return {place: plain(language, pattern) for place, pattern in patterns.items()}


def _before(language: str, pattern: str, item: str) -> str:
    """Return the pattern before the last item, whose sound or script may change the word.

    As in ICU (``listformatter.cpp``): CLDR leaves these changes to programs.
    """
    item = item.lstrip(BIDI_CONTROLS)
    match language.partition("-")[0]:
        case "es" if _BEFORE_I.match(item):
            return pattern.replace(" y {1}", " e {1}")
        case "es" if _BEFORE_O.match(item):
            return pattern.replace(" o {1}", " u {1}")
        case "he" | "iw" if not _HEBREW.match(item):
            return pattern.replace("\u05d5{1}", "\u05d5-{1}")
    return pattern


def _item(language: str, index: int, item: object) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, bool) or not isinstance(item, int | float):
        kinds = (kind for types, kind in _KINDS if isinstance(item, types))
        kind = next(kinds, "nothing")
        raise InputError(f"expected an array of text and numbers, found {kind} at [{index}]")
    return number_text(language, item)


def _joined(language: str, items: Sequence[str], patterns: Mapping[str, str]) -> str:
    """Return a list as UTS 35 has it, part 2, section "List Patterns"."""
    if len(items) <= 1:
        return "".join(items)
    first, *middle, last = items
    if not middle:
        return _before(language, patterns["2"], last).format(first, last)
    text = patterns["start"].format(first, middle[0])
    for item in middle[1:]:
        text = patterns["middle"].format(text, item)
    return _before(language, patterns["end"], last).format(text, last)
