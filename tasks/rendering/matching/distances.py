"""CLDR's distances between languages, scripts and regions."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple

from tasks.rendering.matching.subtags import Subtags, subtags

_LANGUAGE_DISTANCE: Final = 80
_SCRIPT_DISTANCE: Final = 50
_REGION_DISTANCE: Final = 4
"""Distances where CLDR has no rule: its rules for ``*``, ``*-*`` and ``*-*-*``."""


class _RegionRule(NamedTuple):
    """A rule between regions, both of which are a region, a variable or its complement."""

    script: str
    desired: str
    supported: str
    distance: int


class _Data(NamedTuple):
    """CLDR's data: distances by pair, rules between regions by language, and regions."""

    languages: Mapping[tuple[str, str], int]
    scripts: Mapping[tuple[str, str], int]
    regions: Mapping[str, list[_RegionRule]]
    variables: Mapping[str, frozenset[str]]
    macro_regions: Mapping[str, list[str]]
    paradigms: frozenset[tuple[str, str, str]]


def distance(desired: Subtags, supported: Subtags) -> int:
    """Return how far a text in ``supported`` is from a reader of ``desired``: 0 is the same."""
    data = _data()
    total = 0
    if desired.language != supported.language:
        pair = (desired.language, supported.language)
        total += data.languages.get(pair, _LANGUAGE_DISTANCE)
    if desired.script != supported.script:
        one, other = (f"{each.language}-{each.script}" for each in (desired, supported))
        total += data.scripts.get((one, other), _SCRIPT_DISTANCE)
    if desired.region != supported.region:
        is_same = desired.language == supported.language
        rules = data.regions.get(desired.language, []) if is_same else []
        rules = [rule for rule in rules if rule.script in {"*", desired.script}]
        total += _between(desired.region, supported.region, rules) if rules else _REGION_DISTANCE
    return total


def is_paradigm(locale: Subtags) -> bool:
    """Return whether CLDR prefers a locale among equally distant ones."""
    return locale[:3] in _data().paradigms


def _between(desired: str, supported: str, rules: Iterable[_RegionRule]) -> int:
    """Return the largest distance between what two regions contain, which may be themselves."""
    data = _data()
    return max(
        next(
            (
                rule.distance
                for rule in rules
                if rule.desired in {"*", *one} and rule.supported in {"*", *other}
            ),
            _REGION_DISTANCE,
        )
        for one in _roles(desired, data)
        for other in _roles(supported, data)
    )


def _roles(region: str, data: _Data) -> list[set[str]]:
    """Return the names of the regions inside a region in rules: codes and variables."""
    roles = {}
    for one in data.macro_regions.get(region, [region]):
        groups = tuple(
            name if one in members else name.replace("$", "$!")
            for name, members in data.variables.items()
        )
        # Regions in the same groups have the same distances, but for those that rules name.
        key = one if any(one in rule for rules in data.regions.values() for rule in rules) else ""
        roles[key, groups] = {one, *groups}
    return list(roles.values())


@cache
def _data() -> _Data:
    text = resources.files(__package__).joinpath("cldr.json").read_text(encoding="utf-8")
    data = json.loads(text)
    regions: dict[str, list[_RegionRule]] = {}
    for desired, supported, *rest in data["regions"]:
        language, script, region = desired.split("-")
        rule = _RegionRule(script, region, supported.split("-")[2], rest[0])
        regions.setdefault(language, []).append(rule)
        if rest[-1] != "oneway" and rule.desired != rule.supported:
            mirrored = rule._replace(desired=rule.supported, supported=rule.desired)
            regions[language].append(mirrored)
    return _Data(
        languages=_pairs([*data["languages"], *data["additions"]]),
        scripts=_pairs(data["scripts"]),
        regions=regions,
        variables={name: frozenset(members) for name, members in data["variables"].items()},
        macro_regions=data["macro_regions"],
        paradigms=frozenset(subtags(tag)[:3] for tag in data["paradigms"]),
    )


def _pairs(rules: Iterable[list[Any]]) -> dict[tuple[str, str], int]:
    """Return distances by pair; a rule that is not one-way holds in both directions."""
    pairs: dict[tuple[str, str], int] = {}
    for desired, supported, *rest in rules:
        pairs.setdefault((desired, supported), rest[0])
        if rest[-1] != "oneway":
            pairs.setdefault((supported, desired), rest[0])
    return pairs
