"""Likely subtags: the language, script and region that a tag means (UTS 35, "Likely Subtags")."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

import langcodes
from babel.core import get_global
from langcodes.tag_parser import LanguageTagError

_UNDETERMINED: Final = "und"
_LANGUAGE, _SCRIPT, _REGION = 4, 2, 1
_PSEUDO: Final = {"psaccent": "XA", "psbidi": "XB", "pscrack": "XC"}


class Subtags(NamedTuple):
    """Language, script and region of a tag; missing ones are filled in with the likeliest.

    ``explicit`` has a bit for each subtag of the tag itself: of two tags with the same subtags, the
    one that is written like the requested one is nearer.
    """

    language: str
    script: str
    region: str
    explicit: int


@lru_cache(maxsize=4096)
def subtags(tag: str) -> Subtags:
    """Return the subtags of a BCP 47 tag."""
    try:
        parsed = langcodes.Language.get(tag)
    except LanguageTagError:
        return Subtags(tag, "", "", _LANGUAGE)
    if parsed.language is None and parsed.script is None and parsed.territory is None:
        # CLDR resolves the undetermined language to English, which was not requested. A private
        # language ("x-…") matches itself only.
        return Subtags(f"x-{parsed.private}" if parsed.private else _UNDETERMINED, "", "", 0)
    language, script, region = parsed.language or "", parsed.script or "", parsed.territory or ""
    # Such as the "cmn" of "zh"; langcodes retains what a macrolanguage encompasses.
    language = get_global("language_aliases").get(language, language).partition("_")[0]
    explicit = (_LANGUAGE if language else 0) | (_SCRIPT if script else 0)
    explicit |= _REGION if region else 0
    if (pseudo := _pseudo(region, variants(tag))) is not None:
        return Subtags(f"{pseudo}-{language}", script, region, explicit)
    likely = _likely(language or _UNDETERMINED, script, region)
    return Subtags(language or likely[0], script or likely[1], region or likely[2], explicit)


@lru_cache(maxsize=4096)
def same_meaning(tag: str) -> tuple[object, ...]:
    """Return what tags of one language have in common, however they are written.

    ``zh-CN`` and ``zh-Hans-CN`` are one, as are ``no`` and ``nb``: scripts may be left out where
    they are likely, and codes have aliases. A region makes another language of it, ``en-US`` of
    ``en``, whose text the other readers get.
    """
    known = subtags(tag)
    region = known.region if known.explicit & _REGION else ""
    extensions = re.search(r"-[a-z0-9]-.*", tag.lower())
    # CLDR's locale "no" is Bokmål; its aliases lack it.
    language = "nb" if known.language == "no" else known.language
    return language, known.script, region, variants(tag), extensions and extensions[0]


@lru_cache(maxsize=4096)
def variants(tag: str) -> frozenset[str]:
    """Return the variants of a tag, such as ``valencia``."""
    try:
        return frozenset(langcodes.Language.get(tag).variants or ())
    except LanguageTagError:
        return frozenset()


def _pseudo(region: str, of_tag: frozenset[str]) -> str | None:
    """Return which pseudo-locale a tag is: text for testers, which matches itself only."""
    return next((name for name, code in _PSEUDO.items() if region == code or name in of_tag), None)


def likely_script(language: str) -> str:
    """Return the script that a language is written in unless its tag says otherwise."""
    return _likely(language, "", "")[1]


def likely_region(language: str, script: str) -> str:
    """Return the region of a language in a script unless its tag says otherwise."""
    return _likely(language, script, "")[2]


def _likely(language: str, script: str, region: str) -> tuple[str, str, str]:
    known = get_global("likely_subtags")
    for parts in (
        (language, script, region),
        (language, script),
        (language, region),
        (language,),
        (_UNDETERMINED, script),
    ):
        found = known.get("_".join(part for part in parts if part))
        if found is not None and all(parts):
            likely = found.split("_")
            # A few entries have no region.
            return likely[0], likely[1], likely[2] if len(likely) > 2 else ""  # noqa: PLR2004 - the third of three
    return language, "", ""
