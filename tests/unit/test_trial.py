"""Trial renders: a version that cannot render with what it declares is not published."""

from typing import Any

import pytest

from tasks.errors import Problem
from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.trial import MOST_RENDERS, optional, try_out

ENGINE = Engine(Limits())


def source(text: str, *, html: bool = True, subject: bool = False) -> dict[str, Any]:
    """Return a source as the gate gives it."""
    return {"path": "body", "source": text, "html": html, "subject": subject}


def problem_of(text: str, *declared: dict[str, Any]) -> Problem | None:
    """Try a body out."""
    return try_out(ENGINE, source(text), declared, lambda: None)


@pytest.mark.parametrize(
    "kind", ["string", "integer", "number", "boolean", "date", "datetime", "url", "email"]
)
def test_a_value_is_made_from_each_type(kind: str) -> None:
    """No example is needed for a variable whose type says what it looks like."""
    assert problem_of("{{ x }}{{ x|tojson }}", {"name": "x", "type": kind}) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "{{ '%d'|format(x) }}{{ x + 1 }}"),
        ("number", "{{ '%.2f'|format(x) }}{{ x|round(1) }}"),
        ("string", "{{ x|upper }}{{ x.split('e')|first }}{{ x[:2] }}"),
        ("date", "{{ x[:4] }}"),
        ("boolean", "{% if x %}a{% else %}b{% endif %}"),
        ("array", "{% for y in x %}{{ y.name }}{% for z in y.zs %}{{ z }}{% endfor %}{% endfor %}"),
        ("array", "{{ x|join(', ') }}{{ x|length }}{{ x[0].a }}"),
        ("object", "{{ x.a.b }}{{ x['c'] }}{% for y in x.ys %}{{ y }}{% endfor %}"),
        ("any", "{{ x }}{{ x|upper }}"),
        ("any", "{{ x + 1 }}"),
        ("any", "{{ '%d'|format(x) }}"),
        ("any", "{% for y in x %}{{ y.a }}{% endfor %}"),
        ("any", "{% for k, v in x.items() %}{{ k }}{% endfor %}"),
        ("any", "{{ x|tojson }}"),
    ],
)
def test_a_sensible_template_passes(kind: str, text: str) -> None:
    """What real values may well fit is not held against the template."""
    assert problem_of(text, {"name": "x", "type": kind}) is None


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("{{ x + 1 }}", {"name": "x", "type": "string"}),
        ("{{ x.name }}", {"name": "x", "type": "string"}),
        ("{% for y in x %}{% endfor %}", {"name": "x", "type": "integer"}),
        ("{{ '%d'|format(x) }}", {"name": "x", "type": "email"}),
        ("{{ x() }}", {"name": "x", "type": "string"}),
        ("{{ x.city }}", {"name": "x", "type": "object", "example": {"town": "Bonn"}}),
        ("{{ x[1] }}", {"name": "x", "type": "array", "example": [1]}),
    ],
)
def test_a_template_that_misuses_what_it_declares_is_told(
    text: str, declared: dict[str, Any]
) -> None:
    """With declared shapes the template is at fault, and told where."""
    problem = problem_of(text, declared)
    assert problem is not None
    assert problem["path"] == "body"
    assert problem["line"] == 1


@pytest.mark.parametrize(
    "text", ["{{ x|nosuch }}", "{{ x is nosuch }}", "{% include 'a' %}", "{{ x() }}"]
)
def test_what_is_not_offered_is_told_whatever_the_types(text: str) -> None:
    """An unknown filter is wrong with every value there may be, and none can be called."""
    assert problem_of(text, {"name": "x"} | {"type": "any"}) is not None


def test_examples_come_before_made_up_values() -> None:
    """An example says what a shapeless value really looks like."""
    declared = {"name": "x", "type": "any", "example": {"a": [1, 2]}}
    assert problem_of("{{ x.a[1] }}", declared) is None
    problem = problem_of("{{ x.b }}", declared)
    assert problem is not None
    assert problem["type"] == "undefined"


def test_optional_variables_are_tried_left_out() -> None:
    """A template that misses what producers need not send would fail only for some of them."""
    may = {"name": "x", "type": "string", "required": False}
    problem = problem_of("{{ x }}", may)
    assert problem is not None
    assert problem["type"] == "undefined"
    assert problem_of("{% if x is defined %}{{ x }}{% endif %}{{ x|default('d') }}", may) is None
    assert problem_of("{{ x }}", may | {"default": "d"}) is None


def test_both_ways_of_a_condition_are_tried() -> None:
    """A boolean is tried true and false."""
    flag = {"name": "flag", "type": "boolean"}
    assert problem_of("{% if flag %}{{ 1 + 'a' }}{% endif %}", flag) is not None
    assert problem_of("{% if not flag %}{{ 1 + 'a' }}{% endif %}", flag) is not None
    assert problem_of("{% if flag %}a{% else %}b{% endif %}", flag) is None


def test_members_are_tried_in_their_objects() -> None:
    """``user.name`` and ``user.mail`` are one object."""
    declared = [{"name": "user.name", "type": "string"}, {"name": "user.mail", "type": "email"}]
    assert problem_of("{{ user.name }}{{ user.mail }}", *declared) is None


def test_a_subject_is_tried_as_a_subject() -> None:
    """Its limit of 998 characters is the subject's, not the body's."""
    long = f"{'a' * 999}{{{{ x }}}}"
    found = try_out(
        ENGINE, source(long, subject=True), [{"name": "x", "type": "string"}], lambda: None
    )
    assert found is not None
    assert found["type"] == "limit"
    assert problem_of(long, {"name": "x", "type": "string"}) is None


def test_each_render_gets_its_own_time() -> None:
    """The timer starts anew before each render, and there are no more of them than announced."""
    started: list[None] = []
    shapeless = [{"name": "x", "type": "any"}, {"name": "flag", "type": "boolean"}]
    try_out(ENGINE, source("{{ x + flag.a.b + 'a' }}"), shapeless, lambda: started.append(None))
    assert 1 < len(started) <= MOST_RENDERS


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("{{ a|default('x') }}{{ b }}", ["a", "b"], ["a"]),
        ("{{ a | d('x') }}", ["a"], ["a"]),
        ("{% if a is defined %}{{ a }}{% endif %}", ["a"], ["a"]),
        ("{% if a is not defined %}x{% else %}{{ a }}{% endif %}", ["a"], ["a"]),
        ("{% if a is undefined %}x{% endif %}", ["a"], ["a"]),
        ("{{ a|default('x') }}{{ a }}", ["a"], []),
        ("{% if a %}{{ a }}{% endif %}", ["a"], []),
        (
            "{{ user.title|default('') }}{{ user.name }}",
            ["user.name", "user.title"],
            ["user.title"],
        ),
        ("{{ a|default(b) }}", ["a", "b"], ["a"]),
        ("{{ aa|default('x') }}{{ a }}", ["a", "aa"], ["aa"]),
    ],
)
def test_a_guarded_variable_can_be_left_out(
    text: str, names: list[str], expected: list[str]
) -> None:
    """Optional is what the source guards everywhere; a variable used bare once is required."""
    assert optional(ENGINE, [source(text)], names, lambda: None) == expected


def test_one_bare_use_in_any_source_makes_a_variable_required() -> None:
    """A translation that misses it would fail."""
    sources = [source("{{ a|default('x') }}"), source("{{ a }}", subject=True, html=False)]
    assert optional(ENGINE, sources, ["a"], lambda: None) == []
