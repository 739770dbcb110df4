"""Expressions that once gave readers another text than their author meant, without an error."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.texts import Text, declaring
from tasks.rendering.variables import Schema
from tests.support.cases import each

ENGINE = Engine(Limits())


def rendered(
    body: str, values: dict[str, Any], kind: str = "sms", decimals: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the parts of a text."""
    text = Text(type=kind, language="en", subject=None, body=body, partials={})
    declared = [{"name": name, "type": "decimal"} for name in decimals]
    ready = ENGINE.prepare(declaring(text, Schema(declared)))
    return ENGINE.render(ready, ENGINE.values(ready, json.dumps(values).encode()))


def refusal(
    body: str, values: dict[str, Any], kind: str = "sms", decimals: Sequence[str] = ()
) -> str:
    """Return why a text is not rendered."""
    with pytest.raises(SourceError) as refused:
        rendered(body, values, kind, decimals)
    return str(refused.value.problem["message"])


def test_pluralize_takes_two_endings() -> None:
    """One text with a comma, as in Django, was printed as it is."""
    assert "write the endings apart" in refusal("{{ n | pluralize('y,ies') }}", {"n": 1})
    assert rendered("cherr{{ n | pluralize('y', 'ies') }}", {"n": 2})["body"] == "cherries"
    assert "expected a number" in refusal("{{ n | pluralize }}", {"n": "two"})


@each("value", [100, "100"])
def test_texts_made_of_numbers_are_not_ordered_as_texts(value: object) -> None:
    """Neither where both are known to be texts."""
    why = refusal("{% if a | string > '50' %}y{% endif %}", {"a": value})
    assert "two texts that look like numbers" in why
    assert rendered("{% if a | string > 'B' %}y{% endif %}", {"a": "C"})["body"] == "y"


@each(
    ("source", "value", "body"),
    [
        ("{{ t | abs }}", "12.50", "12.50"),
        ("{{ t | abs }}", "-12.50", "12.50"),
        ("{{ t | abs + 1 }}", "-12.50", "13.50"),
        ("{{ t ** 2 }}", "12.5", "156.25"),
        ("{{ t ** 3 }}", "100", "1000000"),
    ],
)
def test_decimals_keep_their_digits(source: str, value: str, body: str) -> None:
    """Those that they were sent with, and all of a result."""
    assert rendered(source, {"t": value}, decimals=["t"])["body"] == body


def test_a_power_of_too_many_digits_is_refused() -> None:
    """Zeros took the place of the last ones."""
    why = refusal("{{ t ** 2 }}", {"t": "123456789012345678901234567890.12"}, decimals=["t"])
    assert "more than" in why


def test_a_number_that_programs_read_as_infinite_is_refused() -> None:
    """The document had null, where the body had the number."""
    assert "1e999 is a larger number" in refusal('{"a": 1e999}', {}, "json")
    assert rendered('{"a": 1e99}', {}, "json")["document"] == {"a": 1e99}


@each(
    ("address", "shown"),
    [
        ("https://x.y/a b>c", "https://x.y/a%20b%3Ec"),
        ("https://x.y/a b", "https://x.y/a%20b"),
        ("https://x.y/?a=1&b=ü", "https://x.y/?a=1&b=ü"),
    ],
)
def test_an_address_of_a_text_part_has_nothing_that_ends_it(address: str, shown: str) -> None:
    """Programs that find addresses in a text would have cut it there."""
    source = f'<a href="{address}">z</a> <a href="{address}">{address}</a>'
    text = rendered(source, {}, "email")["text"]
    assert text.startswith(f"z <{shown}> ")
    assert text.endswith(f" {shown}")


def test_sentences_say_what_to_write() -> None:
    """Not what is written already, or cannot be."""
    assert "put a space between { and {%" in refusal('{{% if x %}"x":1{% endif %}}', {}, "json")
    twice = refusal('{"{{ k }}": 1, "{{ j }}": 2}', {"k": "a", "j": "a"}, "json")
    assert "examples of the variables" in twice
    assert "examples of 's'" in refusal("{{ {'a': 1}[s] }}", {"s": "b"})


@each(
    ("source", "body"),
    [
        ("{{ xs | map(attribute='n', default='-') | join(' ') }}", "1 - -"),
        ("{{ xs | map(attribute='n.m', default=d ~ '!') | join(' ') }}", "x! x! x!"),
        ("{{ xs | map(attribute='n', default=0) | sum }}", "1"),
        ("{{ xs[2].get('n', '-') }}{{ xs[1].get('n', '-') }}{{ xs[0].get('n', '-') }}", "--1"),
        ("{{ xs[2].get('n', {}).get('m', 'y') }}", "y"),
    ],
)
def test_null_has_the_default_that_a_member_left_out_has(source: str, body: str) -> None:
    """As with the filter default: producers send either."""
    assert rendered(source, {"xs": [{"n": 1}, {}, {"n": None}], "d": "x"})["body"] == body


@each("text", ["nan", "NaN", "inf", "-Infinity", "1e400", "1e60"])
@each("name", ["int", "float"])
def test_a_text_that_is_no_number_of_a_reader_is_refused(name: str, text: str) -> None:
    """The engine read infinity, or the largest number that it can hold."""
    assert "at most 60 digits" in refusal(f"{{{{ x | {name} }}}}", {"x": text})


@each(("text", "body"), [("1e3", "1000"), ("12.7", "12"), ("-0.5", "0"), (f"1{'0' * 50}", None)])
def test_a_text_becomes_the_whole_number_that_it_says(text: str, body: str | None) -> None:
    """Of any length that a template calculates with."""
    assert rendered("{{ x | int }}", {"x": text})["body"] == (body or text)


@each("arguments", ["', ', attribute='n'", "', ', 'n'"])
def test_join_takes_an_attribute_of_the_items(arguments: str) -> None:
    """As in Jinja2; the engine ignores it, and joined objects, or blanks."""
    source = f"{{{{ xs | join({arguments}) }}}}"
    assert rendered(source, {"xs": [{"n": "a"}, {"n": 2}]})["body"] == "a, 2"
    assert "a value is missing at [1]" in refusal(source, {"xs": [{"n": "a"}, {}]})
    page = rendered(f"<p>{source}</p>", {"xs": [{"n": "<b>"}]}, kind="email")
    assert (page["body"], page["text"]) == ("<p>&lt;b&gt;</p>", "<b>")


@each(
    ("names", "body"),
    [(["paris", "Paris"], "paris:2"), (["Paris", "paris", "Rome"], "Paris:2Rome:1")],
)
def test_a_group_has_the_spelling_of_its_first_item(names: list[str], body: str) -> None:
    """As in Jinja2; the engine takes the last."""
    source = "{% for g in xs | groupby('c') %}{{ g.grouper }}:{{ g.list | length }}{% endfor %}"
    assert rendered(source, {"xs": [{"c": name} for name in names]})["body"] == body
