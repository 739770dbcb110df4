"""Objects, arrays and booleans have no text, whatever would make one of them."""

from typing import Any, Final

import pytest

from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.trials.trial import try_out
from tests.support.cases import each
from tests.support.sources import given, rendered_body, source_of

ENGINE: Final = Engine(Limits())
VALUES: Final[tuple[Any, ...]] = ({"first": "Ada", "ssn": "123"}, ["a"], [], {}, True, False)
FILTERS: Final = ("upper", "lower", "title", "capitalize", "trim", "string", "striptags")
USES: Final = (
    *("{{ n ~ '!' }}", "{{ 'Hi ' ~ n }}", "{{ [n] | join(', ') }}", "{{ '%s' | format(n) }}"),
    *("{{ n | replace('a', 'b') }}", "{{ n | indent(2) }}", "{{ n | wordwrap }}"),
    *("{{ n | truncate }}", "{{ [n] | urlencode }}", "{{ 1 | plural(one='# ' ~ n, other='#') }}"),
    *("{% set x = n ~ '' %}{{ x }}", "{% macro m(x) %}{{ x ~ '' }}{% endmacro %}{{ m(n) }}"),
    *("{{ [n] | map('string') | join }}", "{% for x in [n] %}{{ x ~ ',' }}{% endfor %}"),
    *(f"{{{{ n | {name} }}}}" for name in FILTERS),
)


def body(source: str, kind: str, **values: Any) -> str:  # noqa: ANN401 - any JSON value
    """Render a body."""
    return rendered_body(ENGINE, ENGINE.prepare(source_of(source, kind)), given(values))


@each("source", USES)
def test_no_filter_or_operator_makes_text_of_them(source: str) -> None:
    """Python's way of writing them is not for readers; the error says what to do instead."""
    for kind in ("sms", "email", "json"):
        written = f'"{source}"' if kind == "json" else source
        for value in VALUES:
            with pytest.raises(SourceError, match=r"has no text|wrong type") as caught:
                body(written, kind, n=value)
            assert caught.value.code == Code.VARIABLES_INVALID
            assert "Ada" not in caught.value.message


@each("source", ["{{ [n] }}", "{{ {'a': n} }}"])
def test_one_that_is_written_out_is_refused_too(source: str) -> None:
    """Readers would see brackets and quotes."""
    with pytest.raises(SourceError, match="would be printed"):
        body(source, "sms", n="x")


@each(
    "source",
    [
        *("{{ (1, 2) }}", "{{ {1: n} }}", "{{ n | items | first }}"),
        *("{{ n | default({}) }}", "{{ n.x | d([]) }}", "{{ n | default([n]) }}"),
        *("{{ n | default(false) }}", "{{ n.x | d(true) }}", "{{ n | default(none) }}"),
        *("{{ (n | dictsort)[0] }}", "{% for pair in n | items %}{{ pair }}{% endfor %}"),
        *("{{ joiner() }}", "{{ cycler([1]) }}", "{{ n | zip(n) | first }}"),
        "{% for pair in n.items() %}{{ pair }}{% endfor %}",
    ],
)
def test_a_publish_refuses_what_only_python_or_the_engine_writes(source: str) -> None:
    """Such as ('name', 'Ada'), whose marks may be meant in a text."""
    for kind in ("sms", "email"):
        declared = [{"name": "n", "type": "any"}]
        problems = try_out(ENGINE, source_of(source, kind), declared, lambda: None)
        assert [each["type"] for each in problems] == ["unprintable"], problems
        assert "line" in problems[0]


def test_pairs_by_their_parts_are_printed() -> None:
    """As are brackets of the text, and the functions' own texts."""
    source = (
        "(1, 2) {% for key, x in n | items %}({{ key }}, {{ x }}){% endfor %}"
        "{% set row = cycler(['odd']) %}{{ row.next() }}"
    )
    declared = [{"name": "n", "type": "object"}]
    assert try_out(ENGINE, source_of(source, "sms"), declared, lambda: None) == []
    assert body(source, "sms", n={"a": 1}) == "(1, 2) (a, 1)odd"


def test_types_tell_at_publish() -> None:
    """Of a variable that is declared as an object."""
    for source in ("{{ n ~ '!' }}", "{{ n | upper }}"):
        declared = [{"name": "n", "type": "object"}]
        (problem,) = try_out(ENGINE, source_of(source, "sms"), declared, lambda: None)
        assert "print one of its members" in problem["message"]


def test_what_has_a_text_is_put_together_as_before() -> None:
    """Numbers and texts, in any language."""
    source = "{{ n ~ '-' ~ x }}{{ [n, x] | join(' ') | upper }}{{ ['a', 1] | join }}"
    for kind in ("sms", "email"):
        assert body(source, kind, n=1, x="é") == "1-é1 Éa1"
