"""Variables that may be left out: what sources guard, and what a missing value does there."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import Code
from tasks.rendering.compiler import Compiler
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.inspection import names_of_the_engine
from tasks.rendering.limits import Limits
from tasks.rendering.paths import above, parsed, steps_of, written
from tasks.rendering.texts import Text
from tasks.rendering.trials.trial import inferred, try_out
from tasks.rendering.usage.inference import names_of
from tasks.rendering.variables import Schema
from tests.support.cases import each
from tests.support.sources import declared_body, source_of

ENGINE: Final = Engine(Limits())
ABSENT: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"user": {}},
    {"user": None},
    {"user": {"name": None}},
)


def schema_of(text: Text) -> Schema:
    """Return the schema that is read off a text, as a publish without variables has it."""
    uses = ENGINE.uses([text])
    assert uses is not None
    every = names_of(uses)
    names = sorted(name for name in every if every.isdisjoint(above(name)))
    found = inferred(ENGINE, [text], names, lambda: None)
    return Schema(
        [
            {"name": name, "type": "any", "required": name not in found.optional}
            for name in sorted({*names, *found.items})
        ]
    )


def body(text: Text, schema: Schema, values: Mapping[str, Any]) -> str:
    """Return a rendered body on the path of a render."""
    return declared_body(ENGINE, text, schema, values)


GUARDED: Final = {
    '{{ user.name | default("?") }}': "?",
    '{{ user.name | d("?") }}': "?",
    '{{ user["name"] | default("?") }}': "?",
    '{{ user.name | default("?") | upper }}': "?",
    '{{ (user.name) | default("?") }}': "?",
    '{{ user.name or "?" }}': "?",
    '{{ (user.name or "?") | upper }}': "?",
    '{{ user.name if user.name else "?" }}': "?",
    '{{ user.name if user.name is defined else "?" }}': "?",
    '{{ "?" if not user.name else user.name }}': "?",
    "{% if user.name %}{{ user.name }}{% else %}?{% endif %}": "?",
    "{% if user.name is defined %}{{ user.name }}{% else %}?{% endif %}": "?",
    "{% if user.name is not defined %}?{% else %}{{ user.name }}{% endif %}": "?",
    "{% if user.name is undefined %}?{% else %}{{ user.name | upper }}{% endif %}": "?",
    "{% if not user.name %}?{% elif user.name == 'Ada' %}{{ user.name }}{% endif %}": "?",
    "{% if user.name and user.name != 'x' %}{{ user.name }}{% endif %}?": "?",
    "{% if user.name is defined and user.name | length > 1 %}{{ user.name }}{% endif %}?": "?",
    "{% if user.name is undefined or user.name == 'x' %}?{% else %}{{ user.name }}{% endif %}": "?",
    "{% if user.name | default('') %}{{ user.name }}{% endif %}?": "?",
    "{% if user.name | default('') != '' %}{{ user.name }}{% endif %}?": "?",
    "{% if user.name | default('') | length > 0 %}{{ user.name }}{% endif %}?": "?",
    "{% set n = user.name | default('?') %}{{ n }}": "?",
    "{% set n = user.name %}{{ n | default('?') }}": "?",
    "{% set is_known = user.name is defined %}{% if is_known %}{{ user.name }}{% endif %}?": "?",
    "{% set n %}{{ user.name | default('?') }}{% endset %}{{ n }}": "?",
    "{% if user.name %}{% set n = user.name %}{% else %}{% set n = '?' %}{% endif %}{{ n }}": "?",
    "{% with n = user.name %}{{ n or '?' }}{% endwith %}": "?",
    "{% if (user.name or '') | length > 0 %}{{ user.name }}{% else %}?{% endif %}": "?",
    "{% macro m(n) %}{{ n }}{% endmacro %}{{ m(user.name | default('?')) }}": "?",
    "{% filter upper %}{{ user.name | default('?') }}{% endfilter %}": "?",
    "{% for n in [1] if user.name %}{{ user.name }}{% endfor %}?": "?",
    '{% include "p" %}': "?",
    "{% if user.name or user.other %}{{ user.other or user.name }}{% else %}?{% endif %}": "?",
    "{{ user.name is defined and user.name or '?' }}": "?",
}
PARTIALS: Final = {"p": '{{ user.name | default("?") }}'}


@each(("source", "expected"), GUARDED.items())
def test_a_member_that_is_guarded_everywhere_may_be_left_out(source: str, expected: str) -> None:
    """With its object or without it; a null counts as left out."""
    text = source_of(source, "sms", partials=PARTIALS)
    schema = schema_of(text)
    assert schema.optional[:1] == ["user.name"]
    for values in ABSENT:
        assert body(text, schema, values) == expected
    assert "Ada" in body(text, schema, {"user": {"name": "Ada"}}).title()


@each("source", [source for source in GUARDED if "include" not in source])
def test_a_declared_optional_member_passes_the_trial(source: str) -> None:
    """A publish tries it given and left out."""
    declared = [
        {"name": name, "type": "string", "required": False} for name in ("user.name", "user.other")
    ]
    assert try_out(ENGINE, source_of(source, "sms"), declared, lambda: None) == []


@each(
    "source",
    [
        "{{ user.name }}",
        '{{ user.name | default("?") }}{{ user.name }}',
        "{{ user.name | upper | default('?') }}",
        "{{ user.name and 'x' }}",
        "{{ '?' or user.name ~ '' }}{{ user.name == 'x' }}",
        "{% if user.name or user.other %}{{ user.name }}{% endif %}",
        "{% if user.name == 'x' %}x{% endif %}",
        "{% if user.name is undefined %}{{ user.name }}{% endif %}",
        "{% if not user.name %}{{ user.name }}{% endif %}",
        "{% if user.name %}x{% endif %}{{ user.name }}",
        "{% if user.other %}{{ user.name }}{% endif %}",
        "{% if user.name | default('x') %}{{ user.name }}{% endif %}",
        "{% for n in user.name %}{{ n }}{% endfor %}",
        "{% set n = user.name %}{{ n }}",
        "{% set n = user.name | default('?') %}{{ user.name }}",
        "{{ user.name[1:] }}",
    ],
)
def test_one_bare_use_makes_a_member_required(source: str) -> None:
    """A reader would miss it there."""
    assert "user.name" not in schema_of(source_of(source, "sms")).optional


def test_a_bare_use_in_the_subject_or_a_partial_counts() -> None:
    """All sources of a text are rendered with the same values."""
    guarded = '{{ user.name | default("?") }}'
    assert schema_of(source_of(guarded, "email", guarded)).optional == ["user.name"]
    assert schema_of(source_of(guarded, "email", "{{ user.name }}")).optional == []
    included = source_of('{% include "p" %}' + guarded, partials={"p": "{{ user.name }}"})
    assert schema_of(included).optional == []


def test_members_are_optional_at_every_depth() -> None:
    """Whichever step is missing."""
    text = source_of('{{ a.b.c.d | default("?") }}{{ a.x }}', "sms")
    schema = schema_of(text)
    assert schema.optional == ["a.b.c.d"]
    cases: list[dict[str, Any]] = [{}, {"b": {}}, {"b": None}, {"b": {"c": None}}]
    for case in [*cases, {"b": {"c": {"d": None}}}]:
        assert body(text, schema, {"a": {"x": 1, **case}}) == "?1"


def test_an_object_that_is_asked_for_is_not_there_when_it_is_left_out() -> None:
    """Whatever is asked of its members elsewhere."""
    source = "{% if user is defined %}a{% else %}b{% endif %}{{ user.name | default('?') }}"
    text = source_of(source, "sms")
    for declared in (None, [{"name": "user.name", "type": "string", "required": False}]):
        schema = schema_of(text) if declared is None else Schema(declared)
        assert body(text, schema, {}) == body(text, schema, {"user": None}) == "b?"
        assert body(text, schema, {"user": {}}) == "a?"
        assert body(text, schema, {"user": {"name": "Ada"}}) == "aAda"


ITEMS: Final = "{% for i in items %}{{ i.sku }}{{ i.note | default('-') }}{% endfor %}"


class TestItems:
    """Members of the items of arrays."""

    def test_they_are_read_off_loops(self) -> None:
        """Each optional where every use is guarded."""
        schema = schema_of(source_of(ITEMS, "sms"))
        _, problems = schema.bind({"items": [{}, {"sku": None}]})
        assert [problem["path"] for problem in problems] == [
            "variables.items[0].sku",
            "variables.items[1].sku",
        ]
        assert schema.optional == ["items[].note"]

    def test_an_optional_one_may_be_left_out(self) -> None:
        """In some items, or null."""
        text = source_of(ITEMS, "sms")
        values = {"items": [{"sku": 1}, {"sku": 2, "note": None}, {"sku": 3, "note": "n"}]}
        assert body(text, schema_of(text), values) == "1-2-3n"

    @each(
        ("source", "names"),
        [
            (
                "{% for o in orders %}{% for i in o.lines %}{{ i.sku }}{% endfor %}{% endfor %}",
                ["orders", "orders[].lines", "orders[].lines[].sku"],
            ),
            (
                "{% for i in items | sort(attribute='n') %}{{ i.sku }}{% endfor %}",
                ["items", "items[].sku"],
            ),
            ("{% for i in items[1:] %}{{ i.sku }}{% endfor %}", ["items", "items[].sku"]),
            ("{% for i in items or [] %}{{ i.a.b }}{% endfor %}", ["items", "items[].a.b"]),
            ("{% for i in items %}{{ i }}{% endfor %}", ["items"]),
            ("{% for i in items %}{{ i.sku }}{{ i | tojson }}{% endfor %}", ["items"]),
            ("{% for k, v in items | items %}{{ v.sku }}{% endfor %}", ["items"]),
            ("{% for i in items %}{% include 'row' %}{% endfor %}", ["items", "items[].sku"]),
            ("{{ items[0].sku }}", ["items"]),
        ],
    )
    def test_names(self, source: str, names: list[str]) -> None:
        """As a declaration would have them."""
        text = source_of(source, "sms", partials={"row": "{{ i.sku }}"})
        every = schema_of(text)
        assert sorted(variable["name"] for variable in every.declared) == names

    def test_an_array_that_is_guarded_may_be_left_out(self) -> None:
        """Its items are checked where there are some."""
        text = source_of("{% for i in items | default([]) %}{{ i.sku }}{% endfor %}", "sms")
        schema = schema_of(text)
        assert body(text, schema, {}) == ""
        assert schema.bind({"items": [{}]})[1][0]["path"] == "variables.items[0].sku"


def test_what_is_printed_without_a_value_is_still_an_error() -> None:
    """Nobody declares it here, and the engine finds it."""
    text = source_of("a\n{{ user.name }}", "sms")
    schema = Schema([{"name": "user.name", "type": "any", "required": False}])
    with pytest.raises(SourceError) as caught:
        body(text, schema, {})
    assert caught.value.code == Code.VARIABLES_INVALID
    assert caught.value.message == "no value for user.name"
    assert caught.value.problem["line"] == 2


STEP = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True),
    st.text(st.characters(exclude_characters="\"'\\[]", exclude_categories=["C"]), min_size=1),
    st.just("[]"),
)


@given(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.lists(STEP, max_size=4))
def test_a_path_is_read_as_it_is_written(first: str, steps: list[str]) -> None:
    """Whatever its members are called."""
    path = (first, *steps)
    assert parsed(written(path)) == steps_of(written(path)) == path


def test_names_of_the_engine_are_no_variables() -> None:
    """No producer can give them."""
    names = names_of_the_engine(Compiler(Limits(), escapes=False).environment)
    assert {"loop", "range", "namespace"} <= names
