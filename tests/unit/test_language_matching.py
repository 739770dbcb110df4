"""Language matching against CLDR's own test data.

``tests/data/localeMatcherTest.txt`` is that of ICU 72 (CLDR 42), unchanged. © 2017 and later:
Unicode, Inc. and others; License & terms of use: https://www.unicode.org/copyright.html
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tasks.rendering.matching import closest
from tests.support.cases import each

DATA = Path(__file__).parents[1] / "data" / "localeMatcherTest.txt"
OLD_TAGS = {"i-klingon": "tlh"}
"""ICU answers with the current form of a tag, the service with the tag as it was given."""

SERBO_CROATIAN = "sh"
"""Canonical is sr-Latn, as which the service stores and requests it; ICU leaves it as it is."""


class Case(NamedTuple):
    """A line of the data: requested languages, supported ones, and the expected match."""

    line: int
    requested: list[str]
    supported: list[str]
    default: str | None
    expected: str


def _tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def _cases(*, of_settings: bool) -> Iterator[Case]:
    """Yield the cases with or without settings that the service does not offer."""
    parameters: dict[str, str] = {}
    for number, line in enumerate(DATA.read_text(encoding="utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if text.startswith("**"):
            parameters = {}
        elif parameter := re.fullmatch(r"@(\w+)=(.*)", text):
            parameters[parameter[1]] = parameter[2]
        elif ">>" in text:
            requested, _, results = text.partition(">>")
            expected = results.partition("|")[0].strip()
            has_settings = bool(parameters.get("favor") or parameters.get("threshold"))
            if expected and has_settings is of_settings:
                supported = _tags(parameters.get("supported", ""))
                default = parameters.get("default") or next(iter(supported), None)
                yield Case(number, _tags(requested), supported, default, expected)


def test_languages_match_as_in_the_test_data_of_cldr() -> None:
    """All cases but those with ``favor`` or ``threshold``, settings of ICU that are not offered."""
    cases = list(_cases(of_settings=False))
    assert (len(cases), len(list(_cases(of_settings=True)))) == (498, 431)
    wrong = []
    for case in cases:
        matched = closest(case.requested, case.supported) or case.default or "null"
        if OLD_TAGS.get(matched, matched).lower() != case.expected.lower():
            wrong.append((case.line, case.requested, case.expected, matched))
    assert wrong == [(1393, [SERBO_CROATIAN], "en", "sr")]


@each(
    ("requested", "supported", "matched"),
    [
        ("en-CA", ["en-US", "en-GB"], "en-US"),
        ("en-CA", ["en-GB", "en-US"], "en-US"),
        ("en-PH", ["en-GB", "en"], "en"),
        ("en-IN", ["en-US", "en-GB"], "en-GB"),
        ("en-150", ["en-US", "en-GB"], "en-GB"),
        ("fr-CA", ["fr-BE", "fr"], "fr"),
        ("zh-HK", ["zh-Hans", "zh-TW", "zh-MO"], "zh-MO"),
        ("es-PT", ["es-419", "es-ES"], "es-ES"),
        ("nn", ["sv", "nb"], "nb"),
        ("gsw", ["fr", "de"], "de"),
        ("zu", ["fr", "en"], "en"),
        ("nl", ["af", "en"], None),
        ("ja", ["de", "fr"], None),
        ("sr-Latn", ["en", "sr"], "sr"),
        ("en-XA", ["en", "en-XA"], "en-XA"),
        ("en", ["en-XA", "fr"], None),
        ("x-test", ["en", "x-test"], "x-test"),
        ("x-test", ["en", "x-other"], None),
    ],
)
def test_the_nearest_language_is_that_of_cldr(
    requested: str, supported: list[str], matched: str | None
) -> None:
    """Regions by their groups, scripts, one-way fallbacks, pseudo-locales and private languages."""
    assert closest([requested], supported) == matched


def test_of_equal_languages_the_one_with_the_variants_of_the_request_is_taken() -> None:
    """Variants have no distance in CLDR, but a reader of the old orthography asked for it."""
    assert closest(["de-AT-1901"], ["de", "de-1901"]) == "de-1901"
    assert closest(["de-AT"], ["de-1901", "de"]) == "de"
    assert closest(["de-AT"], ["de-1901"]) == "de-1901"


@each("supported", [[], ["en"], ["de", "en"]])
def test_without_a_request_nothing_matches(supported: list[str]) -> None:
    """The version's own text is the default, whose choice is not a match."""
    assert closest([], supported) is None
