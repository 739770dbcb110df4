"""The nearest of several languages, as ICU's LocaleMatcher selects it."""

from collections.abc import Sequence
from typing import Final

from tasks.rendering.matching.distances import distance, is_paradigm
from tasks.rendering.matching.subtags import (
    Subtags,
    likely_region,
    likely_script,
    subtags,
    variants,
)

THRESHOLD: Final = 50
"""Distance from which a language does not answer a request: ICU's default, CLDR's of scripts."""

_DEMOTION: Final = 5
"""What each requested language is further away than the one before it: ICU's default."""

_FRACTION: Final = 8
"""A distance is counted in eighths, so that the way a tag is written decides between equals."""


def closest(requested: Sequence[str], supported: Sequence[str]) -> str | None:
    """Return the nearest of the supported languages, or None where none is near.

    Parameters
    ----------
    requested
        BCP 47 tags, the preferred one first.
    supported
        BCP 47 tags; the first one is the default, which comes first among equals.
    """
    candidates = _candidates(supported)
    limit = THRESHOLD * _FRACTION
    best: tuple[str, Subtags] | None = None
    for position, tag in enumerate(requested):
        wanted = subtags(tag)
        if wanted in candidates:
            best = (tag, wanted)
            break
        nearest = _nearest(wanted, candidates, limit - position * _DEMOTION * _FRACTION)
        if nearest is not None:
            candidate, near = nearest
            limit = near + position * _DEMOTION * _FRACTION
            best = (tag, candidate)
        if limit <= (position + 1) * _DEMOTION * _FRACTION:
            break
    if best is None:
        return None
    tag, candidate = best
    # The same subtags may be written in several ways, and have variants: "de" and "de-1901".
    return min(candidates[candidate], key=lambda other: len(variants(tag) ^ variants(other)))


def _candidates(supported: Sequence[str]) -> dict[Subtags, list[str]]:
    """Return tags by their subtags: the default's first, then CLDR's paradigms."""
    candidates: dict[Subtags, list[str]] = {}
    for tag in supported:
        candidates.setdefault(subtags(tag), []).append(tag)
    default = next(iter(candidates), None)

    def order(candidate: Subtags) -> int:
        if default is not None and candidate[:3] == default[:3]:
            return 0
        return 1 if is_paradigm(candidate) else 2

    return {candidate: candidates[candidate] for candidate in sorted(candidates, key=order)}


def _nearest(
    wanted: Subtags, candidates: dict[Subtags, list[str]], limit: int
) -> tuple[Subtags, int] | None:
    best: Subtags | None = None
    for candidate in candidates:
        away = distance(wanted, candidate) * _FRACTION
        away = away or (wanted.explicit ^ candidate.explicit)
        is_tie = best is not None and away == limit and away >= _FRACTION
        if away < limit or (is_tie and best is not None and _is_likelier(candidate, best)):
            best, limit = candidate, away
    return None if best is None else (best, limit)


def _is_likelier(one: Subtags, other: Subtags) -> bool:
    """Return whether, of two equally distant locales, ``one`` is the default of its language."""
    if one.language != other.language:
        return False
    if one.script != other.script:
        return one.script == likely_script(one.language)
    return one.region != other.region and one.region == likely_region(one.language, one.script)
