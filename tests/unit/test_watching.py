"""Prints of nulls, missing members, objects, arrays and booleans: named, placed, all at once."""

from typing import Any, Final

import pytest

from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.watching import may_hold_a_value
from tests.support.cases import each
from tests.support.sources import body_of, source_of

ENGINE: Final = Engine(Limits())
KINDS: Final = ("sms", "in_app")


def refused(source: str, values: dict[str, Any], kind: str = "sms", **partials: str) -> SourceError:
    """Return the error of a body that does not render."""
    with pytest.raises(SourceError) as caught:
        body_of(ENGINE, source_of(source, kind, partials=partials), values)
    assert caught.value.code == Code.VARIABLES_INVALID
    return caught.value


def told(error: SourceError) -> list[tuple[str, str, int, int]]:
    """Return path, type, line and column of each problem."""
    return [
        (each_["path"], each_["type"], each_["line"], each_["column"]) for each_ in error.problems
    ]


@each("kind", KINDS)
def test_every_problem_of_a_loop_is_told_with_its_index(kind: str) -> None:
    """Nulls and missing members alike, each with its place in the source."""
    source = "{% for i in items %}\n{{ i.sku }}: {{ i.price }}{% endfor %}"
    values = {"items": [{"sku": 1, "price": 2}, {"sku": None}, {"price": None, "sku": 3}]}
    error = refused(source, values, kind)
    assert told(error) == [
        ("variables.items[1].sku", "null", 2, 4),
        ("variables.items[1].price", "undefined", 2, 17),
        ("variables.items[2].price", "null", 2, 17),
    ]
    assert [each_["message"].partition(": send")[0] for each_ in error.problems] == [
        "null would be printed: items[1].sku",
        "no value for items[1].price",
        "null would be printed: items[2].price",
    ]
    assert all("snippet" in each_ for each_ in error.problems)


@each(
    ("source", "values", "path"),
    [
        (
            "{% for o in orders %}{% for i in o.lines %}{{ i.sku }}{% endfor %}{% endfor %}",
            {"orders": [{"lines": []}, {"lines": [{"sku": 1}, {"sku": None}]}]},
            "orders[1].lines[1].sku",
        ),
        ("{% for x in xs %}{{ x }}{% endfor %}", {"xs": [1, None]}, "xs[1]"),
        (
            "{% for o in orders %}{% for t in o.tags %}{{ t }}{% endfor %}{% endfor %}",
            {"orders": [{"tags": ["a"]}, {"tags": ["b", None]}]},
            "orders[1].tags[1]",
        ),
        (
            "{% for i in items | sort(attribute='n') %}{{ i.sku }}{% endfor %}",
            {"items": [{"n": 2, "sku": None}, {"n": 1, "sku": 1}]},
            "items[0].sku",
        ),
        (
            "{% for i in items if i.n > 1 %}{{ i.sku }}{% endfor %}",
            {"items": [{"n": 1, "sku": 1}, {"n": 2, "sku": None}]},
            "items[1].sku",
        ),
        (
            "{% for i in items %}{{ i['first-name'] }}{% endfor %}",
            {"items": [{"first-name": None}]},
            'items[0]["first-name"]',
        ),
        (
            "{% for i in items %}{{ i.flag }}{% endfor %}",
            {"items": [{"flag": True}]},
            "items[0].flag",
        ),
    ],
)
def test_the_index_is_that_of_the_value(source: str, values: dict[str, Any], path: str) -> None:
    """However the loop goes through the array."""
    error = refused(source, values)
    assert error.problem["path"] == f"variables.{path}"
    assert path in error.message


@each(
    ("source", "values", "message"),
    [
        ("{{ user }}", {"user": {"name": "Ada", "ssn": "123"}}, "an object would be printed: user"),
        ("{{ tags }}", {"tags": ["a"]}, "an array would be printed: tags"),
        ("{{ tags }}", {"tags": []}, "an array would be printed: tags"),
        ("{{ user }}", {"user": {}}, "an object would be printed: user"),
        ("{{ tags|sort }}", {"tags": ["a"]}, "an array would be printed: tags"),
        ("{{ flag }}", {"flag": True}, "a boolean would be printed: flag"),
        ("{{ flag or '' }}", {"flag": True}, "a boolean would be printed: flag or ''"),
        ("{{ user.flag }}", {"user": {"flag": False}}, "a boolean would be printed: user.flag"),
        ("{{ flag|default('x') }}", {"flag": False}, "a boolean would be printed: flag"),
        ("{% set x = user %}{{ x }}", {"user": {"a": 1}}, "an object would be printed: x"),
        ("{% for t in tags %}{{ t }}{% endfor %}", {"tags": [[1]]}, "an array would be printed"),
        ("{% macro m(x) %}{{ x }}{% endmacro %}{{ m(f) }}", {"f": True}, "a boolean would be"),
        ("{% set x %}{{ f }}{% endset %}{{ x }}", {"f": True}, "a boolean would be printed: f"),
    ],
)
def test_what_has_no_text_is_refused(source: str, values: dict[str, Any], message: str) -> None:
    """A reader would see the words of a program, and what was not meant for them."""
    for kind in KINDS:
        error = refused(f"a\n{source}", values, kind)
        assert error.message.startswith(message)
        assert error.problem["type"] == "unprintable"
        assert error.problem["line"] == 2
        assert "Ada" not in str(error.problems) + error.message


@each(
    ("source", "expected"),
    [
        ("{{ user|tojson }}{{ tags|join(', ') }}{{ tags|list }}", '{"a": 1}x, yx and y'),
        ("{{ 'on' if flag else 'off' }}{% if flag %}1{% endif %}", "on1"),
        ("{{ 'a' if not flag }}[1] {} True None {'a'}", "[1] {} True None {'a'}"),
        ("{{ word }} {{ words|join }}", "True ['x']"),
        ("{{ tags|length }}{{ user.a }}{{ tags[0] }}{{ tags|first }}", "21xx"),
    ],
)
def test_what_has_a_text_is_printed(source: str, expected: str) -> None:
    """Also where the words of a program are those of a text."""
    values = {
        "user": {"a": 1},
        "tags": ["x", "y"],
        "flag": True,
        "word": "True",
        "words": ["['x']"],
    }
    assert body_of(ENGINE, source_of(source, "sms"), values) == expected


def test_a_problem_of_a_partial_has_its_place_there() -> None:
    """And says which partial it is."""
    error = refused('{% include "p" %}', {"user": {"a": 1}}, p="a\n b {{ user }}")
    assert told(error) == [("body", "unprintable", 2, 7)]
    assert error.problem["message"].startswith("partial 'p': an object would be printed: user")


def test_problems_in_several_places_are_told_together() -> None:
    """A null, a missing value, an object and a boolean."""
    source = "{{ a }}\n{{ b }}\n{{ c }}\n{{ d.x }}"
    error = refused(source, {"a": None, "b": {}, "c": True, "d": {}})
    assert [each_["line"] for each_ in error.problems] == [1, 2, 3, 4]


@each("text", ["a [link] b", "{ color: red }", "[if mso]><![endif]", "(x) {{y}} a[b", "a{}"])
def test_usual_texts_are_not_rendered_twice(text: str) -> None:
    """Brackets and braces that hold no value of a program."""
    assert not may_hold_a_value(text, text, is_trial=False)


@each("text", ["['a']", "[1, 2]", "[]", "{}", "{'a': 1}", "[{'a'", "{&#x27;a", "True", "x False"])
def test_what_python_writes_is_suspected(text: str) -> None:
    """As the engine prints it, escaped or not."""
    assert may_hold_a_value(f"a {text} b", "a {{ x }} b", is_trial=False)
