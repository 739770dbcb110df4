# ruff: noqa: RUF001 - letters of other scripts are what is tested
"""Case, order, sizes and cuts of texts, as the language of a text has them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.checks.locale_filters import problems
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.locale_filters import FILTERS
from tasks.rendering.locale_filters.collation import has_order, sort_key
from tasks.rendering.texts import Text
from tests.support.cases import each
from tests.support.sources import rendered_body

ENGINE = Engine(Limits())
QUICK = settings(max_examples=80, deadline=None)
FAMILY = "👩‍👩‍👧‍👦"
FLAG = "🇩🇪"
NBSP = "\u00a0"


def rendered(
    source: str,
    language: str = "en",
    *,
    is_trial: bool = False,
    kind: str = "push",
    **values: Any,  # noqa: ANN401 - any JSON value
) -> str:
    """Return a body."""
    text = Text(type=kind, language=language, subject=None, body=source, partials={})
    ready = ENGINE.prepare(text)
    given = ENGINE.values(ready, json.dumps(values).encode())
    return rendered_body(ENGINE, ready, given, is_trial=is_trial)


@each(
    ("language", "name", "text", "expected"),
    [
        ("tr", "upper", "istanbul ılık", "İSTANBUL ILIK"),
        ("tr", "lower", "İSTANBUL ILIK DİYARBAKIR", "istanbul ılık diyarbakır"),
        ("tr", "capitalize", "istanbul IŞIK", "İstanbul ışık"),
        ("tr", "title", "ığdır ili", "Iğdır İli"),
        ("az-Latn-AZ", "upper", "bakı i", "BAKI İ"),
        ("de", "upper", "straße", "STRASSE"),
        ("de", "lower", "STRAẞE", "straße"),
        ("en", "upper", "istanbul", "ISTANBUL"),
        ("en", "title", "o'neil's foo-bar", "O'neil's Foo-Bar"),
        ("el", "upper", "Άνθρωπος ή μαΐου μάιος", "ΑΝΘΡΩΠΟΣ Η ΜΑΪΟΥ ΜΑΪΟΣ"),
        ("el", "upper", "ή", "Ή"),
        ("el", "lower", "ΟΔΟΣ", "οδος"),
        ("nl", "capitalize", "ijsland", "IJsland"),
        ("el", "title", "ΠΑΥΛΟΣ ΑΣ", "Παυλος Ας"),
        ("el", "title", "άννα ΈΛΕΝΑ", "Άννα Έλενα"),
        ("el", "capitalize", "έλενα", "Έλενα"),
        ("de", "title", "ßx ǆx ﬁx", "Ssx ǅx Fix"),
        ("nl", "title", "ijmuiden en ijsselmeer", "IJmuiden En IJsselmeer"),
        ("lt", "lower", "Ì Í", "i̇̀ i̇́"),
        ("lt", "upper", "i̇̀", "Ì"),
        ("hy", "upper", "և", "ԵՎ"),
        ("hy", "capitalize", "և", "Եվ"),
    ],
)
def test_case_follows_the_language_of_the_text(
    language: str, name: str, text: str, expected: str
) -> None:
    """Unicode's SpecialCasing, and what ICU adds to it."""
    assert rendered(f"{{{{ x | {name} }}}}", language, x=text) == expected
    block = f"{{% filter {name} %}}{{{{ x }}}}{{% endfilter %}}"
    assert rendered(block, language, x=text) == expected


def test_a_missing_value_has_its_place_in_every_language() -> None:
    """The filters that stand for the engine's own tell of it as others do."""
    for language in ("en", "tr"):
        with pytest.raises(SourceError, match="no value for y") as caught:
            rendered("{{ x | upper }}{{ y | upper }}", language, x="a")
        assert caught.value.problem["type"] == "undefined"
    assert rendered("{{ 5 | upper }}{{ x | upper }}", "tr", x=5) == "55"


def test_case_by_name_is_refused_where_it_would_be_wrong() -> None:
    """What ``map`` is told to use knows no language."""
    source = '{{ names | map("upper") | join(", ") }}'
    (problem,) = problems(source, "tr", "body")
    assert "in a loop" in problem["message"]
    assert not list(problems(source, "en", "body"))
    assert not list(problems('{{ names | map("trim") }}', "tr", "body"))


@each(
    ("language", "words"),
    [
        ("de", "Apfel Äpfel Arm Straße Strauß Zebra"),
        ("en", "a A ä b B Zebra"),
        ("fr", "cote coté côte côté"),
        ("sv", "Abba Zebra Åke Ärla Öman"),
        ("da", "Anna Zebra Ærø Østen Aase Åse"),
        ("fi", "Abba Zebra Åbo Äänekoski Öster"),
        ("et", "sina šokk zebra žanr tere vana õun äri öö üks"),
        ("es", "nota ñandú oso"),
        ("cs", "cena čas dům hora chata jaro řeka šaty zima žena"),
        ("sk", "cena čas hora chata"),
        ("pl", "lato łąka mama śnieg tata zebra źrebak żaba"),
        ("hu", "cukor csak dal gól gyár óra öröm utca ügy zene zseb"),
        ("tr", "cam çay hal ılık iyi ok ördek şal tuz ütü"),
        ("hr", "čaj ćup džep đak ljeto njega šuma žaba"),
        ("ru", "ёж ель ёлка жук йод кот"),
        ("uk", "гора ґанок дім ера єдність жук ива іва їжа йод"),
        ("el", "αλφα άμμος βήτα ώρα"),
        ("lt", "cukrus čia yla ir jau"),
    ],
)
def test_texts_are_sorted_as_the_language_does(language: str, words: str) -> None:
    """By the letters of its alphabet; case and marks decide between equals."""
    expected = words.split()
    if language == "ru":
        expected = ["ёж", "ёлка", "ель", "жук", "йод", "кот"]
    if language == "uk":
        expected = ["гора", "ґанок", "дім", "ера", "єдність", "жук", "ива", "іва", "їжа", "йод"]
    shown = rendered('{{ x | sort | join(" ") }}', language, x=sorted(expected, key=hash))
    assert shown == " ".join(expected)
    shown = rendered('{{ x | sort(reverse=true) | join(" ") }}', language, x=expected)
    assert shown == " ".join(reversed(expected))


def test_objects_are_sorted_by_members_and_keys() -> None:
    """``attribute`` and ``dictsort`` know the language too."""
    items = [{"name": "Zebra"}, {"name": "Äpfel"}]
    source = '{{ x | sort(attribute="name") | map(attribute="name") | join(" ") }}'
    assert rendered(source, "de", x=items) == "Äpfel Zebra"
    source = "{% for key, value in x | dictsort %}{{ key }}{% endfor %}"
    assert rendered(source, "de", x={"z": 1, "ä": 2}) == "äz"
    assert rendered(source, "sv", x={"z": 1, "ä": 2}) == "zä"
    source = '{% for key, value in x | dictsort(by="value") %}{{ key }}{% endfor %}'
    assert rendered(source, "de", x={"b": "z", "a": "ä"}) == "ab"


def test_groups_have_the_order_of_the_language() -> None:
    """Nulls count as left out, and texts among numbers have no order."""
    source = (
        "{% for name, group in x | groupby('n', default='-') %}"
        "{{ name }}{{ group | length }} {% endfor %}"
    )
    items: list[dict[str, Any]] = [{"n": "Zoe"}, {"n": "Äpfel"}, {"n": "-"}, {}, {"n": None}]
    assert rendered(source, "de", x=items) == "-3 Äpfel1 Zoe1 "
    assert rendered(source, "sv", x=items) == "-3 Zoe1 Äpfel1 "
    assert rendered(source, "en", x=[{"n": 10}, {"n": 9.5}]) == "9.51 101 "
    with pytest.raises(SourceError, match="groupby: a text cannot be compared with a number"):
        rendered(source, "de", x=[{"n": "10"}, {"n": 9}])


def test_numbers_are_sorted_as_numbers() -> None:
    """In every language."""
    for language in ("en", "zh", "sv"):
        assert rendered("{{ x | sort | join(' ') }}", language, x=[10, 9, 1.5]) == "1.5 9 10"


def test_an_order_that_is_not_known_is_refused_at_the_publish() -> None:
    """Not at a render: a version that was published before goes on."""
    for language in ("zh", "ja", "th", "ar", "uz-Arab"):
        assert not has_order(language)
        assert (
            rendered("{{ x | sort | join }}", language, x=["b", "a"]).strip("\u2068\u2069") == "ab"
        )
        with pytest.raises(SourceError, match="case_sensitive=true") as caught:
            rendered("{{ x | sort | join }}", language, is_trial=True, x=["b", "a"])
        assert caught.value.code == "template_syntax"
        for source in ("x | sort(attribute='n')", "x | groupby('n')"):
            with pytest.raises(SourceError, match="case_sensitive=true"):
                rendered(f"{{{{ {source} | length }}}}", language, is_trial=True, x=[{"n": "a"}])
        source = "{{ x | sort(case_sensitive=true) | join }}"
        assert rendered(source, language, is_trial=True, x=["b", "a"]).strip("\u2068\u2069") == "ab"
        assert rendered("{{ x | sort | join }}", language, is_trial=True, x=[2, 1]) == "12"


@QUICK
@given(st.lists(st.text(st.sampled_from("aAäåzZß9 -ñчЁ好"), max_size=4), max_size=6))
def test_an_order_is_the_same_whatever_the_order_before(words: list[str]) -> None:
    """No two texts are equal but the same."""
    for language in ("de", "sv", "ru"):
        keys = {word: sort_key(language, word) for word in words}
        other = [*words[1:], *words[:1]]
        assert sorted(words, key=keys.__getitem__) == sorted(other, key=keys.__getitem__)


@each(
    ("language", "value", "binary", "expected"),
    [
        ("en", 0, False, "0 bytes"),
        ("en", 1, False, "1 byte"),
        ("en", 999, False, "999 bytes"),
        ("en", 1500, False, "1.5 kB"),
        ("en", 999_999, False, "1.0 MB"),
        ("en", "1234567890", False, "1.2 GB"),
        ("en", 10**18, False, "1,000.0 PB"),
        ("en", -1500, False, "-1.5 kB"),
        ("en", 1536, True, f"1.5{NBSP}KiB"),
        ("de", 1_500_000, False, "1,5 MB"),
        ("fr", 1_500_000, False, "1,5\u202fMo"),
        ("fr", 2, False, f"2{NBSP}octets"),
        ("ru", 2, False, "2 байта"),
        ("ru", 1500, False, "1,5 кБ"),
        ("fa", 1500, False, "۱٫۵ kB"),
    ],
)
def test_sizes_are_written_in_the_language(
    language: str, value: object, binary: object, expected: str
) -> None:
    """CLDR's units of digital information."""
    text = FILTERS["filesizeformat"](language, value, binary)
    assert text.replace(NBSP, " ") == expected.replace(NBSP, " ")


@each(
    ("text", "length", "expected"),
    [
        (f"{FAMILY}{FAMILY}{FAMILY} abc", 2, f"{FAMILY}{FAMILY}"),
        (f"{FLAG}{FLAG}{FLAG}", 2, f"{FLAG}{FLAG}"),
        ("e\u0301e\u0301e\u0301", 1, "e\u0301"),
        ("👍🏽👍🏽👍🏽", 1, "👍🏽"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", 1, "\u1112\u1161\u11ab"),
        ("नमस्ते", 2, "नम"),
        ("1️⃣2️⃣3️⃣", 2, "1️⃣2️⃣"),
        ("plain text", 5, "plain"),
        ("\r\n\r\nab", 2, None),
    ],
)
def test_a_cut_never_splits_a_character(text: str, length: int, expected: str | None) -> None:
    """Emoji sequences, flags, marks, Hangul and keycaps: grapheme clusters count as one."""
    source = f'{{{{ x | truncate(length={length}, killwords=true, leeway=0, end="") }}}}'
    shown = rendered(source, x=text)
    assert expected is None or shown == expected


def test_what_fits_is_not_cut() -> None:
    """Ten flags are ten characters, and not twenty."""
    source = '{{ x | truncate(length=10, leeway=0, end="…") }}'
    assert rendered(source, x=FLAG * 10) == FLAG * 10
    assert rendered("{{ x | wordwrap(width=4) }}", x=f"{FLAG * 6}") == "\n".join(
        [FLAG * 2] * 3
    )  # in columns
    page = "{% set y %}<b>{{ x }}</b>{% endset %}{{ x | truncate(length=2, end='') }}"
    assert (
        rendered(page, kind="in_app", x=f"<{FLAG}{FLAG}{FLAG}{FLAG}{FLAG}{FLAG}{FLAG}{FLAG}")
        == f"&lt;{FLAG}"
    )


@each(
    ("expression", "expected"),
    [
        *(("x | first", FLAG), ("x | last", "b"), ("x | reverse", f"be\u0301{FAMILY}{FLAG}")),
        *(("x | length", "4"), ("x | count", "4"), ("x | join('|')", f"{FLAG}|{FAMILY}|e\u0301|b")),
        *(("x[0]", FLAG), ("x[-2]", "e\u0301"), ("x.1", FAMILY), ("x[2 - 1]", FAMILY)),
        *(("x[:1]", FLAG), ("x[1:3]", f"{FAMILY}e\u0301"), ("x[-2:]", "e\u0301b"), ("x[9:]", "")),
        *(("x[::2]", f"{FLAG}e\u0301"), ("x[::-1]", f"be\u0301{FAMILY}{FLAG}"), ("x[:n]", FLAG)),
        *(("(x)[1:][0]", FAMILY), ("x[1:] | length", "3"), ("(x ~ x) | length", "8")),
        *(("o.y[:1]", FLAG), ("o.y | default('') | first", FLAG), ("(x if n)[:1]", FLAG)),
        *(("x.upper()[0]", FLAG), ("x | lower | last", "b"), ("x | reverse | last", FLAG)),
        *(("o['y'][n:][:n]", FAMILY), ("x[0] | default('d')", FLAG), ("(x[9] or 'd')", "d")),
        *(("[x, 'a'][:1] | first", f"{FLAG}{FAMILY}e\u0301b"), ("[x, 'a'] | length", "2")),
        *(("l[1:] | join", "b"), ("l | reverse | join('-')", f"b-{FLAG}"), ("l[-1]", "b")),
        ("'yes' if x | length > 3 else 'no'", "yes"),
    ],
)
def test_a_text_is_picked_from_by_whole_characters(expression: str, expected: str) -> None:
    """As a reader counts them, wherever a text comes from; arrays stay arrays of their items."""
    x = f"{FLAG}{FAMILY}e\u0301b"
    source = f"{{{{ {expression} }}}}"
    for kind in ("push", "in_app"):
        assert rendered(source, kind=kind, x=x, n=1, o={"y": x}, l=[FLAG, "b"]) == expected


@each("expression", ["x[:n]", "x[n:]", "x[:2]", "x[::s]", "x | reverse"])
def test_what_cannot_be_sliced_is_refused_in_its_place(expression: str) -> None:
    """A number, an object, and bounds that are no whole numbers."""
    for values in ({"x": 5, "n": 1, "s": 1}, {"x": {}, "n": "1", "s": 0}, {"x": 1.5, "n": 0.5}):
        if expression == "x | reverse" and values["x"] == {}:
            continue
        with pytest.raises(SourceError) as caught:
            rendered(f"a\n{{{{ {expression} }}}}", **{"s": 1} | values)
        assert caught.value.problem["line"] == 2
        assert "expected" in caught.value.message


def test_markup_is_not_turned_around() -> None:
    """Its tags would be turned around too; without tags its text is."""
    page = "{% set y %}<b>{{ x }}</b>{% endset %}{{ y | reverse }}"
    with pytest.raises(SourceError, match="cannot be applied to markup"):
        rendered(page, kind="in_app", x="a")
    page = "{% set y %}{{ x }}{% endset %}{{ y | reverse }}"
    assert rendered(page, kind="in_app", x="a<b") == "b&lt;a"


@QUICK
@given(st.text(st.sampled_from("ab \u0301\u200d👩👧🇩🇪"), max_size=20), st.integers(-9, 9))
def test_two_slices_are_the_whole_text(text: str, at: int) -> None:
    """At any place, from its beginning or its end."""
    assert rendered("{{ x[:n] }}{{ x[n:] }}", x=text, n=at) == text


@QUICK
@given(st.text(st.sampled_from("ab \u0301\u200d👩👧🇩🇪\U000f0000"), max_size=20), st.integers(1, 8))
def test_a_cut_is_a_beginning_of_the_text(text: str, length: int) -> None:
    """Whatever it is made of."""
    source = f'{{{{ x | truncate(length={length}, killwords=true, leeway=0, end="") }}}}'
    assert text.startswith(rendered(source, x=text).rstrip())


@each(
    "source",
    [
        ("{{ items | join(', ') }}", "join: a value is missing at [1]"),
        ("{{ items | list }}", "list: expected an array of text and numbers, found nothing at [1]"),
        ("{{ rows | sum(attribute='n') }}", "sum: a value is missing at [1], [2]"),
        (
            "{% for a, b in rows | groupby('n') %}{% endfor %}",
            "groupby: a value is missing at [1], [2]",
        ),
        ("{{ rows | map(attribute='n') | join }}", "join: a value is missing at [1], [2]"),
    ],
)
def test_what_is_missing_in_an_array_is_named_by_its_index(source: tuple[str, str]) -> None:
    """With the place of the filter."""
    rows = [{"n": 1}, {"n": None}, {}]
    for kind in ("sms", "email"):
        with pytest.raises(SourceError) as caught:
            rendered(source[0], kind=kind, items=["a", None], rows=rows)
        assert caught.value.problem["message"].startswith(source[1])
        assert caught.value.problem["column"] > 1


def test_unique_takes_letters_for_one_as_the_language_does() -> None:
    """In Turkish, I and i are two letters."""
    source = "{{ ['I', 'ı', 'i', 'İ', 'IŞIK', 'ışık'] | unique | join(',') }}"
    turkish = "I,i,IŞIK"
    for language, expected in (("tr", turkish), ("az-AZ", turkish), ("en", "I,ı,İ,IŞIK,ışık")):
        assert rendered(source, language) == expected
