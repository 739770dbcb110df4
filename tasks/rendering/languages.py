"""Fallback languages: which text answers a request. Pure, no I/O.

:mod:`tasks.rendering.matching` finds the closest of several languages; the decision is here.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tasks.rendering.matching import closest

Reason = Literal["own", "exact", "closest", "default"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The selected language, and the chain from the requested one to it.

    ``is_source`` is true for the version's own text, false for a translation. ``reason`` is ``own``
    if no language was asked for, ``exact``, ``closest``, or ``default`` if none is near.
    """

    language: str
    is_source: bool
    chain: tuple[str, ...]
    reason: Reason


@lru_cache(maxsize=8192)
def choose(
    requested: str | None, translations: tuple[str, ...], source: str, fallback: str
) -> Choice | None:
    """Return the language to use and why; None if ``fallback`` is ``strict`` and has no match.

    Parameters
    ----------
    requested
        Canonical BCP 47 tag; None asks for the version's own text.
    translations
        Canonical tags of the version's translations.
    source
        Canonical tag of the version's own text.
    fallback
        ``closest``: the nearest by CLDR distance (Unicode Technical Standard 35, part 1, section
        "Language Matching"), else the version's own text. ``strict``: that language or none.
        ``default``: that language or the version's own text.
    """
    if requested is None:
        return Choice(source, is_source=True, chain=(source,), reason="own")
    if requested in translations:
        return Choice(requested, is_source=False, chain=(requested,), reason="exact")
    if requested == source:
        return Choice(source, is_source=True, chain=(source,), reason="exact")
    if fallback == "strict":
        return None
    if fallback == "closest":
        supported = [source, *(tag for tag in sorted(translations) if tag != source)]
        nearest = closest([requested], supported)
        if nearest is not None:
            chain = (requested, nearest)
            return Choice(nearest, nearest not in translations, chain, reason="closest")
    return Choice(source, is_source=True, chain=(requested, source), reason="default")
