"""Values in text that is written from right to left, and the author's own isolates."""

import json
import unicodedata
from typing import Any

import pytest
import regex  # type: ignore[import-untyped]
from babel.core import get_global
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.bidi import isolate, isolated, with_isolates, without_controls
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.locale_filters.directions import direction_of
from tasks.rendering.texts import Text
from tests.support.cases import each

ENGINE = Engine(Limits())
QUICK = settings(max_examples=80, deadline=None)
LRI, RLI, FSI, PDI = "\u2066", "\u2067", "\u2068", "\u2069"
HELLO = "\u0645\u0631\u062d\u0628\u0627"
ADA = f"{FSI}Ada{PDI}"


def rendered(
    body: str,
    values: dict[str, Any],
    language: str = "ar",
    kind: str = "push",
    subject: str | None = None,
) -> dict[str, Any]:
    """Return the parts of a text."""
    text = Text(type=kind, language=language, subject=subject, body=body, partials={})
    ready = ENGINE.prepare(text)
    return ENGINE.render(ready, ENGINE.values(ready, json.dumps(values).encode()))


@each(
    ("language", "direction"),
    [
        ("ar", "rtl"),
        ("he", "rtl"),
        ("fa-AF", "rtl"),
        ("ur", "rtl"),
        ("ckb", "rtl"),
        ("yi", "rtl"),
        ("ps", "rtl"),
        ("dv", "rtl"),
        ("az-Arab", "rtl"),
        ("pa-PK", "rtl"),
        ("en", "ltr"),
        ("az", "ltr"),
        ("ar-Latn", "ltr"),
        ("he-Latn", "ltr"),
        ("zh-Hant", "ltr"),
        ("x-test", "ltr"),
    ],
)
def test_the_direction_is_that_of_the_script(language: str, direction: str) -> None:
    """The likely script of the language, unless its tag has one."""
    assert direction_of(language) == direction


@each(
    ("value", "is_isolated"),
    [
        ("Ada", True),
        ("Ada & Grace", True),
        ("+966 50 123", True),
        ("-5", True),
        ("1-2", True),
        ("C++", True),
        ("\u0622\u062f\u0627 2", True),
        ("5", False),
        ("\u0665", False),
        ("", False),
        ("...", False),
        ("\u0622\u062f\u0627", False),
        ("\u05d0\u05d3\u05d4!", False),
        ("https://example.org/a", False),
        ("see https://example.org/a", False),
        ("www.example.org", False),
        ("ada@example.org", False),
    ],
)
def test_what_may_move_is_isolated(value: str, *, is_isolated: bool) -> None:
    """Latin text and numbers with signs; not what stands right anyway, and not addresses."""
    assert isolate(value) == (f"{FSI}{value}{PDI}" if is_isolated else value)


def test_an_isolate_is_balanced_whatever_the_value() -> None:
    """A PDI of the value would end it."""
    assert isolate(f"a{PDI}b{RLI}c\u202ed") == f"{FSI}abcd{PDI}"


@each(("value", "printed"), [(-5, "-5"), (-1.5, "-1.5"), (5, None), (1.5, None), (True, None)])
def test_negative_numbers_keep_their_sign_in_front(value: object, printed: str | None) -> None:
    """A hyphen is a separator to the bidirectional algorithm."""
    assert isolated(value) == (value if printed is None else f"{FSI}{printed}{PDI}")


@each(
    ("source", "body"),
    [
        (f"{HELLO} {{{{ name }}}}!", f"{HELLO} {ADA}!"),
        (f"{HELLO} {{{{- name -}}}} !", f"{HELLO}{ADA}!"),
        ("{{ name }}, {{ name }}", f"{ADA}, {ADA}"),
        ("{{ name }}{{ name }}", f"{ADA}{ADA}"),
        ("https://example.org/{{ name }}", "https://example.org/Ada"),
        ("https://{{ name }}/x/{{ name }}{{ n }}?q={{ name }}", "https://Ada/x/Ada7?q=Ada"),
        ("https://{{ name }}.example.org {{ name }}", f"https://Ada.example.org {ADA}"),
        ("{{ name }}@example.org", "Ada@example.org"),
        ("https://example.org/{% if n %}{{ name }}{% endif %}", "https://example.org/Ada"),
        (
            "{% if n %}https://a.b/{% else %}-{% endif %}{{ name }} {{ name }}",
            f"https://a.b/Ada {ADA}",
        ),
        (
            "https://example.org/{#-x#}{% for i in [name] -%} {{ i }}/{% endfor %}",
            "https://example.org/Ada/",
        ),
        ("{% set u = 'https://a.b/' %}{{ u }}{{ name }}", "https://a.b/Ada"),
        ("{{ url }}{{ name }}, {{ name }}", f"https://example.org/Ada, {ADA}"),
        ("{{ name }}{% if n %}@example.org{% endif %}", "Ada@example.org"),
        ("tel:{% if n %}{{ name }}{% endif %}", "tel:Ada"),
        ("{{ url }}", "https://example.org/"),
        ("{{ n }}", "7"),
        ("{{ name if n else 'x' }}", ADA),
        ("{{ name if not n }}", ""),
        ('{{ name | default("x") | upper }}', f"{FSI}ADA{PDI}"),
        ("{% set a %}{{ name }}{% endset %}({{ a }})", f"({ADA})"),
        ("{% macro m(x) %}{{ x }}{% endmacro %}({{ m(name) }})", f"({ADA})"),
        ("{% raw %}{{ name }}{% endraw %}{# {{ name }} #}", "{{ name }}"),
        ('{{ ["Ada", "Grace"] | list }}', f"{ADA} \u0648{FSI}Grace{PDI}"),
        ('{{ 3 | currency("EUR") }}', "\u2068\u200f3.00\u00a0\u20ac\u2069"),
    ],
)
def test_prints_of_right_to_left_text_are_isolated(source: str, body: str) -> None:
    """Where they are not a part of an address; texts of other languages stay as they were."""
    values = {"name": "Ada", "n": 7, "url": "https://example.org/"}
    assert rendered(source, values)["body"] == body
    other = rendered(source, values, "en")["body"]
    assert not set(other) & {FSI, PDI}


def test_markup_and_addresses_of_a_page_stay() -> None:
    """Isolates stand in the text between tags, and in the plain text made of it."""
    source = (
        '<html lang="{{ language }}" dir="{{ dir }}"><title>{{ name }}</title>'
        "<style>a { color: {{ colour }} }</style>"
        '<p title="{{ name }}">{{ name }} '
        '<a href="https://example.org/{{ name }}">{{ name }}</a></p>'
        "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}{% macro u(x) %}{{ x }}{% endmacro %}"
        '<p>{{ b(name) }}</p><p><img alt="{{ u(name) }}" src="x">{{ u(name) }}</p></html>'
    )
    parts = rendered(source, {"name": "Ada", "colour": "red"}, kind="email")
    assert parts["body"] == (
        '<html lang="ar" dir="rtl"><title>Ada</title><style>a { color: red }</style>'
        f'<p title="Ada">{ADA} <a href="https://example.org/Ada">{ADA}</a></p>'
        f'<p><b>{ADA}</b></p><p><img alt="Ada" src="x">{ADA}</p></html>'
    )
    assert parts["text"] == f"{ADA} {ADA} <https://example.org/Ada>\n\n{ADA}\n\nAda {ADA}"


def test_values_are_escaped_in_isolates() -> None:
    """Once."""
    body = rendered("<p>{{ name }}</p>", {"name": "<b>A&B"}, kind="in_app")["body"]
    assert body == f"<p>{FSI}&lt;b&gt;A&amp;B{PDI}</p>"


@each(
    ("source", "words", "column"),
    [
        ("\n  {{ nme }}", "no value for nme", 6),
        ("\n{{ n }} {{ name | currency('EUR') }}", "currency: expected a number", 19),
        ("\n{{ nothing }}", "null would be printed", 4),
    ],
)
def test_an_error_has_its_place_in_the_source_of_the_author(
    source: str, words: str, column: int | None
) -> None:
    """As in other languages."""
    values = {"n": 7, "name": "Ada", "nothing": None}
    for language in ("ar", "en"):
        with pytest.raises(SourceError, match=words) as caught:
            rendered(source, values, language)
        assert caught.value.problem.get("column") == column
    assert rendered(source[:1] + "{{ name }}", values)["body"] == f"\n{ADA}"


@each("language", ["ar", "en"])
def test_isolates_of_an_author_stay_in_a_subject(language: str) -> None:
    """Those of a value go: it could reorder what stands around it."""
    subject = f"{RLI}{HELLO}{PDI} {LRI}{{{{ n }}}}{PDI} {{{{ name }}}}"
    for name in ("Ada", f"A{PDI}d{RLI}a\u202e"):
        line = rendered("x", {"n": 7, "name": name}, language, subject=subject)["subject"]
        shown = ADA if language == "ar" else "Ada"
        assert line == f"{RLI}{HELLO}{PDI} {LRI}7{PDI} {shown}"
    nested = {"people": [{"name": f"A{FSI}d"}], "n": 7}
    source = f"{FSI}{{{{ people[0].name }}}}{PDI}{{{{ n }}}}"
    line = rendered("x", nested, "en", subject=source)["subject"]
    assert line == f"{FSI}Ad{PDI}7"


def test_values_without_controls_are_not_copied() -> None:
    """Most have none."""
    values = {"a": [1, {"b": "c"}], "d": None}
    assert without_controls(values) is values
    assert without_controls({"a": [f"x{PDI}"]}) == {"a": ["x"]}


def test_the_render_tells_its_language_and_direction() -> None:
    """A value of the same name is a version's own, as one before this had it."""
    source = "{{ language }} {{ dir }}"
    assert rendered(source, {}, "he")["body"] == f"{FSI}he{PDI} {FSI}rtl{PDI}"
    assert rendered(source, {}, "de-AT")["body"] == "de-AT ltr"
    assert rendered(source, {"language": "Latin"}, "en")["body"] == "Latin ltr"


@QUICK
@given(st.text(st.sampled_from("{}%<>=\"'/ a-|#\n"), max_size=40))
def test_any_source_stays_what_it_is(source: str) -> None:
    """Without isolates it is the same; no source breaks the rewriting."""
    for html in (True, False):
        changed = with_isolates(source, html=html)
        if "{{" not in source:
            assert changed == source


def test_each_language_has_the_direction_of_its_letters() -> None:
    """By CLDR's likely scripts, and the bidirectional classes of each script's letters (UAX #9)."""
    letters = "".join(
        letter for letter in map(chr, range(0x110000)) if unicodedata.category(letter)[0] == "L"
    )
    likely = {
        tag: next(part for part in full.split("_") if len(part) == len("Latn") and part.isalpha())
        for tag, full in get_global("likely_subtags").items()
        if not tag.startswith("und")
    }
    for script in set(likely.values()):
        try:
            of_script = regex.findall(rf"\p{{Script={script}}}", letters)
        except regex.error:
            continue  # an alias such as Jpan, or newer than the library
        to_left = sum(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in of_script)
        expected = "rtl" if to_left * 2 > len(of_script) else "ltr"
        tags = [tag for tag, of_tag in likely.items() if of_tag == script]
        assert {tag: direction_of(tag.replace("_", "-")) for tag in tags} == dict.fromkeys(
            tags, expected
        )


@each(
    ("source", "names"),
    [
        ("<p>https://x.org/{{ a }}{{ b }}</p>", []),
        ("<p>{{ c }}https://x.org/{{ a }}{{ b }}</p>", ["c"]),
        ("<p>https://x.org/{{ a }} {{ b }}</p>", ["b"]),
        ("<p>{{ a }}{{ b }}</p>", ["a", "b"]),
        ("<p>https://x.org/{{ a }}{% if c %}{{ b }}{% endif %}</p>", ["b"]),
    ],
)
def test_what_touches_a_value_of_an_address_belongs_to_it(source: str, names: list[str]) -> None:
    """In a page; what stands apart from it, or in a branch, does not."""
    printed = with_isolates(source, html=True)
    assert [name for name in "abc" if f"({name})|_isolated" in printed] == names


def test_values_that_are_joined_to_words_are_isolated_one_by_one() -> None:
    """In a sentence of right-to-left letters, and in the forms of plural; a name stays whole."""
    values = {"n": "Zo (UK)", "f": "Ada", "l": "King", "k": 3}
    zo = f"{FSI}Zo (UK){PDI}"
    for body, expected in (
        (f"{{{{ '{HELLO} ' ~ n ~ '!' }}}}", f"{HELLO} {zo}!"),
        ("{{ f ~ ' ' ~ l }}", f"{FSI}Ada King{PDI}"),
        (f"{{{{ n if k else '{HELLO}' ~ f }}}}", zo),
        (
            "{{ k | plural(zero='#',one='#',two='#',few='# x ' ~ n,many='#',other='#') }}",
            f"3 x {zo}",
        ),
    ):
        assert rendered(body, values)["body"] == expected
