"""Language tags and which language's text answers a request."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import InvalidMessage
from tasks.messages.fields import (
    REQUESTED_LANGUAGE_LENGTH,
    STORED_LANGUAGE_LENGTH,
    canonical_language,
)
from tasks.rendering.languages import choose
from tasks.services.outputs import require_other_language, require_other_languages
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)
TAGS = ("de", "de-AT", "en", "en-GB", "fr", "fr-CA", "pt-BR", "zh-Hans", "zh-Hant", "sr-Latn", "nb")


@each(
    ("given_tag", "canonical"),
    [
        ("en_us", "en-US"),
        ("EN", "en"),
        ("DE-at", "de-AT"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("zh_Hant", "zh-Hant"),
        ("pt-br", "pt-BR"),
        ("es-419", "es-419"),
        ("iw", "he"),
        ("sr-latn", "sr-Latn"),
    ],
)
def test_a_tag_is_stored_in_its_canonical_form(given_tag: str, canonical: str) -> None:
    """RFC 5646, section 4.5: case, separators and superseded subtags."""
    assert canonical_language(given_tag) == canonical


@each(
    "tag",
    [
        "",
        " ",
        "e",
        "x",
        "english",
        "de-",
        "-de",
        "de--AT",
        "de-ATX",
        "de AT",
        "de\n",
        "qq",
        "und",
        "und-DE",
        "en-ZZZ",
        "zh-TWN",
        "de-Latn-Latn",
        "dé",
        "\u202ede",
        "de\x00",
        "{{ x }}",
        "*",
        "de;q=1",
        "../de",
        "a" * 1000,
    ],
)
def test_invalid_language_tags_are_refused(tag: str) -> None:
    """Malformed tags, subtags that are not registered, and the undetermined language."""
    with pytest.raises(ValueError, match="BCP 47"):
        canonical_language(tag)


def test_a_stored_tag_has_at_most_ten_characters() -> None:
    """The column's width; the canonical form counts, not what was written."""
    assert STORED_LANGUAGE_LENGTH == 10
    assert canonical_language("zh-Hant-TW") == "zh-Hant-TW"
    assert canonical_language("en-Latn-US") == "en-US"
    with pytest.raises(ValueError, match="at most 10 characters"):
        canonical_language("ca-ES-valencia")


def test_a_requested_tag_may_be_longer_than_a_stored_one() -> None:
    """A browser may ask for more than is stored: variants, extensions, private subtags."""
    longest = "de-" + "-".join(["x"] + ["abcdefgh"] * 27)
    for tag in ("ca-valencia", "ca-ES-valencia", "sl-1994-biske-rozaj", "de-u-co-phonebk", longest):
        assert canonical_language(tag, REQUESTED_LANGUAGE_LENGTH) == tag
    with pytest.raises(ValueError, match="at most 255 characters"):
        canonical_language(f"{longest}-abcdefgh", REQUESTED_LANGUAGE_LENGTH)


@QUICK
@given(st.text(max_size=40) | st.from_regex(r"\A[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{2,8}){0,3}\Z"))
def test_any_text_gives_a_canonical_tag_or_a_value_error(text: str) -> None:
    """A canonical tag is ASCII, short enough, and canonical again."""
    try:
        tag = canonical_language(text, REQUESTED_LANGUAGE_LENGTH)
    except ValueError:
        return
    assert re.fullmatch(r"[A-Za-z0-9-]{2,255}", tag)
    assert canonical_language(tag, REQUESTED_LANGUAGE_LENGTH) == tag


@each(
    ("requested", "translations", "source", "chain", "reason"),
    [
        ("de-AT", ("de", "fr"), "en", ("de-AT", "de"), "closest"),
        ("zh-TW", ("zh-Hans", "zh-Hant"), "en", ("zh-TW", "zh-Hant"), "closest"),
        ("zh-CN", ("zh-Hans", "zh-Hant"), "en", ("zh-CN", "zh-Hans"), "closest"),
        ("de", ("de", "de-AT"), "en", ("de",), "exact"),
        ("de-AT", ("de", "de-AT"), "en", ("de-AT",), "exact"),
        ("en-GB", ("de",), "en", ("en-GB", "en"), "closest"),
        ("ja", ("de", "fr"), "en", ("ja", "en"), "default"),
        ("ja", ("de",), "fr", ("ja", "fr"), "default"),
        ("en", ("de",), "en", ("en",), "exact"),
        ("de-AT", (), "de", ("de-AT", "de"), "closest"),
        ("ca-valencia", ("ca", "es"), "en", ("ca-valencia", "ca"), "closest"),
        ("de-CH-1901", ("de", "de-1901"), "en", ("de-CH-1901", "de-1901"), "closest"),
        ("de-DE-u-co-phonebk", ("de",), "en", ("de-DE-u-co-phonebk", "de"), "closest"),
        ("en-CA", ("en-GB",), "en-US", ("en-CA", "en-US"), "closest"),
        ("en-AU", ("en-GB",), "en-US", ("en-AU", "en-GB"), "closest"),
        ("es-AR", ("es", "es-419"), "en", ("es-AR", "es-419"), "closest"),
        ("pt-AO", ("pt-BR", "pt-PT"), "en", ("pt-AO", "pt-PT"), "closest"),
        ("cmn", ("zh-Hans", "zh-Hant"), "en", ("cmn", "zh-Hans"), "closest"),
    ],
)
def test_closest_takes_the_nearest_language(
    requested: str,
    translations: tuple[str, ...],
    source: str,
    chain: tuple[str, ...],
    reason: str,
) -> None:
    """By CLDR distance; what is too far gets the version's own text."""
    choice = choose(requested, translations, source, "closest")
    assert choice is not None
    assert choice.language == chain[-1]
    assert choice.chain == chain
    assert choice.is_source is (chain[-1] not in translations)
    assert choice.reason == reason


def test_without_a_language_the_own_text_is_meant() -> None:
    """Nobody asked for a language: the version's own, whatever the fallback says."""
    for fallback in ("closest", "strict", "default"):
        choice = choose(None, ("de",), "fr", fallback)
        assert choice is not None
        assert (choice.language, choice.is_source, choice.chain) == ("fr", True, ("fr",))
        assert choice.reason == "own"


def test_a_translation_into_the_source_language_comes_before_the_own_text() -> None:
    """It was written later than the version, which cannot change."""
    choice = choose("en", ("en",), "en", "closest")
    assert choice is not None
    assert not choice.is_source


def test_strict_takes_that_language_or_none() -> None:
    """A near one does not do."""
    assert choose("de-AT", ("de",), "en", "strict") is None
    exact = choose("de", ("de",), "en", "strict")
    own = choose("en", ("de",), "en", "strict")
    assert exact is not None
    assert own is not None
    assert (exact.language, own.language) == ("de", "en")
    assert (exact.reason, own.reason) == ("exact", "exact")


def test_default_takes_that_language_or_the_own_text() -> None:
    """A near one is passed over."""
    choice = choose("de-AT", ("de",), "en", "default")
    assert choice is not None
    assert (choice.language, choice.chain) == ("en", ("de-AT", "en"))
    assert choice.reason == "default"


@QUICK
@given(
    st.sampled_from(TAGS),
    st.lists(st.sampled_from(TAGS), unique=True, max_size=6),
    st.sampled_from(TAGS),
    st.sampled_from(["closest", "strict", "default"]),
)
def test_a_choice_is_one_of_the_texts_there_are(
    requested: str, translations: list[str], source: str, fallback: str
) -> None:
    """The chain leads from the requested language to the chosen one, whatever the order."""
    choice = choose(requested, tuple(translations), source, fallback)
    if choice is None:
        assert fallback == "strict"
        assert requested not in {source, *translations}
        return
    assert choice.chain[0] == requested
    assert choice.chain[-1] == choice.language
    assert choice.language == source if choice.is_source else choice.language in translations
    if requested in {source, *translations}:
        assert choice.language == requested
    assert (choice.reason == "exact") is (choice.language == requested)
    assert choice.reason in (
        {"exact", "closest", "default"} if fallback == "closest" else {"exact", "default"}
    )
    assert choose(requested, tuple(reversed(translations)), source, fallback) == choice


@each(
    ("one", "other"),
    [
        ("zh-CN", "zh-Hans-CN"),
        ("zh", "zh-Hans"),
        ("zh-TW", "zh-Hant-TW"),
        ("sr", "sr-Cyrl"),
        ("sr-RS", "sr-Cyrl-RS"),
        ("no", "nb"),
        ("cmn", "zh"),
        ("uz", "uz-Latn"),
    ],
)
def test_a_version_has_one_text_in_a_language(one: str, other: str) -> None:
    """However its tag is written: the likely script may be left out, and codes have aliases."""
    for first, second in ((one, other), (other, one)):
        with pytest.raises(InvalidMessage, match="the same language"):
            require_other_languages("en", [first, second], "translations")
        with pytest.raises(InvalidMessage, match="of the version's own text"):
            require_other_languages(first, [second], "translations")
        with pytest.raises(InvalidMessage, match="the same language"):
            require_other_language(first, "en", ["de", second])
        with pytest.raises(InvalidMessage, match="of the version's own text"):
            require_other_language(first, second, [])


def test_a_region_or_variant_or_script_makes_another_language() -> None:
    """As do all that CLDR tells apart; a translation is upserted again in its own tag."""
    tags = [
        *("en-US", "en-GB", "pt", "pt-BR", "zh-Hans", "zh-Hant", "zh-CN", "zh-TW", "sr", "sr-Latn"),
        *("nb", "nn", "es-419", "es-ES", "es-MX", "ca", "ca-valencia", "de-1996", "de"),
    ]
    require_other_languages("en", tags, "translations")
    for tag in tags:
        require_other_language(tag, "en", tags)
