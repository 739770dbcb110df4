"""Trial renders: a version that cannot render with what it declares is not published."""

from typing import Any

from tasks.errors import Problem
from tasks.rendering.engine import Engine
from tasks.rendering.limits import TRIAL_RENDERS, Limits
from tasks.rendering.samples import BY_TYPE
from tasks.rendering.trials.trial import inferred, try_out
from tests.support.cases import each
from tests.support.sources import source_of

ENGINE = Engine(Limits())


def problem_of(text: str, *declared: dict[str, Any]) -> Problem | None:
    """Try a body out."""
    problems = try_out(ENGINE, source_of(text), declared, lambda: None)
    assert len(problems) <= 1
    return problems[0] if problems else None


@each("kind", [kind for kind in BY_TYPE if kind != "boolean"])
def test_a_value_is_made_from_each_type(kind: str) -> None:
    """No example is needed for a variable whose type says what it looks like."""
    source = "{{ x }}" if kind == "markdown" else "{{ x }}{{ x|tojson }}"
    assert problem_of(source, {"name": "x", "type": kind}) is None


@each("kind", ["array", "boolean", "object"])
@each("printed", ["x", "x|default('d')", "(x or 'd')", "o.x"])
def test_what_has_no_text_is_refused_where_it_is_printed(kind: str, printed: str) -> None:
    """With what to write instead; in other places it is welcome."""
    name = "o.x" if printed == "o.x" else "x"
    problem = problem_of(f"a\n{{{{ {printed} }}}}", {"name": name, "type": kind})
    assert problem is not None
    assert problem["type"] == "unprintable"
    assert (problem["line"], problem["message"].split(":")[0][-10:]) == (2, "be printed")
    source = f"{{% if {name} %}}a{{% endif %}}{{{{ 'a' if {name} }}}}"
    assert problem_of(source, {"name": name, "type": kind}) is None


@each(
    "printed",
    [
        *("x == 'a'", "x in ['a']", "not x", "x is string", "true", "x and x != 'a'", "x | bool"),
        *("x == 'a' if x", "('b' if x else x > 'c')"),
    ],
)
def test_a_condition_is_not_printed(printed: str) -> None:
    """Readers would see True; in a JSON document it is a value."""
    declared = {"name": "x", "type": "string"}
    problem = problem_of(f"a\n{{% if x %}}{{{{ {printed} }}}}{{% endif %}}", declared)
    assert problem is not None
    assert (problem["type"], problem["line"]) == ("unprintable", 2)
    assert problem["message"].startswith("a boolean would be printed: ")
    assert problem_of(f"{{{{ 'b' if {printed} else 'c' }}}}", declared) is None
    document = source_of(f'{{"a": {{{{ ({printed}) | tojson }}}}}}', "json")
    assert try_out(ENGINE, document, [declared], lambda: None) == []


@each(
    ("kind", "text"),
    [
        ("integer", "{{ '%d'|format(x) }}{{ x + 1 }}"),
        ("number", "{{ '%.2f'|format(x) }}{{ x|round(1) }}"),
        ("string", "{{ x|upper }}{{ x.split('e')|first }}{{ x[:2] }}"),
        ("date", "{{ x[:4] }}"),
        ("boolean", "{% if x %}a{% else %}b{% endif %}"),
        ("array", "{% for y in x %}{{ y.name }}{% for z in y.zs %}{{ z }}{% endfor %}{% endfor %}"),
        ("array", "{{ x|join(', ') }}{{ x|length }}{{ x[0].a }}"),
        ("object", "{% for k, v in x|dictsort(by='value', reverse=true) %}{{ k }}{% endfor %}"),
        ("object", "{{ x.a.b }}{{ x['c'] }}{% for y in x.ys %}{{ y }}{% endfor %}"),
        ("any", "{{ x }}{{ x|upper }}"),
        ("any", "{{ x + 1 }}"),
        ("any", "{{ '%d'|format(x) }}"),
        ("any", "{% for y in x %}{{ y.a }}{% endfor %}"),
        ("any", "{% for k, v in x.items() %}{{ k }}{% endfor %}"),
        ("any", "{{ x|tojson }}"),
        ("any", "{{ x|currency('EUR') }}{{ x|date }}{{ x|plural(one='a', other='b') }}"),
        ("any", "{{ x|currency(x) }}"),
        ("string", "{{ x|currency('EUR') }}{{ 12|currency(x) }}{{ x|datetime('short', x) }}"),
        ("array", "{{ x|list }}{{ x|join(', ') }}{{ x|map(attribute='a')|join }}"),
        ("array", "{{ x|sum }}{% for g in x|groupby('a') %}{{ g.grouper }}{% endfor %}"),
        ("any", "{% if x is string %}{{ x }}{% elif x is eq(1) %}{{ x|urlencode }}{% endif %}"),
        ("any", "{{ x|truncate(length=20) }}{{ x|wordwrap }}{{ x|e }}{{ x|zip(x) }}"),
    ],
)
def test_a_sensible_template_passes(kind: str, text: str) -> None:
    """What real values may well fit is not held against the template."""
    assert problem_of(text, {"name": "x", "type": kind}) is None


@each(
    ("text", "declared"),
    [
        ("{{ x + 1 }}", {"name": "x", "type": "string"}),
        ("{{ x.name }}", {"name": "x", "type": "string"}),
        ("{% for y in x %}{% endfor %}", {"name": "x", "type": "integer"}),
        ("{{ '%d'|format(x) }}", {"name": "x", "type": "email"}),
        ("{{ x() }}", {"name": "x", "type": "string"}),
        ("{{ x.city }}", {"name": "x", "type": "object", "example": {"town": "Bonn"}}),
        ("{{ x[1] }}", {"name": "x", "type": "array", "example": [1]}),
        ("{{ x|currency('Euro') }}", {"name": "x", "type": "number"}),
        ("{{ x|currency('EUR') }}", {"name": "x", "type": "date"}),
        ("{{ x|list }}", {"name": "x", "type": "number"}),
        ("{{ x|map(attribute='b')|join }}", {"name": "x", "type": "array", "example": [{"a": 1}]}),
    ],
)
def test_a_template_that_misuses_what_it_declares_is_told(
    text: str, declared: dict[str, Any]
) -> None:
    """With declared shapes the template is at fault, and the problem has its place."""
    problem = problem_of(text, declared)
    assert problem is not None
    assert problem["path"] == "body"
    assert problem["line"] == 1


@each(
    "text",
    [
        "{{ x|nosuch }}",
        "{{ x is nosuch }}",
        "{% include 'a' %}",
        "{{ x() }}",
        "{{ x|currency('Euro') }}",
        "{{ x|e('none') }}",
    ],
)
def test_unavailable_features_are_reported_for_every_type(text: str) -> None:
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
    declared = [{"name": "x", "type": "string"}]
    problems = try_out(ENGINE, source_of(long, "email", long), declared, lambda: None)
    assert [(problem["path"], problem["type"]) for problem in problems] == [("subject", "limit")]


def test_subject_and_body_are_told_at_once() -> None:
    """One problem for each, so that an author mends both."""
    text = source_of("{{ x|nope }}", "email", "{{ y|nope }}")
    declared = [{"name": name, "type": "string"} for name in "xy"]
    problems = try_out(ENGINE, text, declared, lambda: None)
    assert [problem["path"] for problem in problems] == ["subject", "body"]


def test_partials_are_tried_with_the_text_that_uses_them() -> None:
    """A text may be at odds with a partial although each compiles."""
    text = source_of('{% include "footer" %}', partials={"footer": "a\n{{ x + 1 }}"})
    (problem,) = try_out(ENGINE, text, [{"name": "x", "type": "string"}], lambda: None)
    assert problem["message"].startswith("partial 'footer': ")
    assert problem["line"] == 2
    assert try_out(ENGINE, text, [{"name": "x", "type": "integer"}], lambda: None) == []


def test_a_text_that_does_not_compile_is_told_once() -> None:
    """There is nothing to render then."""
    started: list[None] = []
    text = source_of("{% if x %}", "email", "{{ x|nope }}")
    problems = try_out(ENGINE, text, [], lambda: started.append(None))
    assert [problem["path"] for problem in problems] == ["body"]
    assert not started


def test_each_render_gets_its_own_time() -> None:
    """The timer starts anew before each render, and there are no more of them than announced."""
    started: list[None] = []
    shapeless = [{"name": "x", "type": "any"}, {"name": "flag", "type": "boolean"}]
    worst = "{{ x + flag.a.b + 'a' }}"
    try_out(ENGINE, source_of(worst, "email", worst), shapeless, lambda: started.append(None))
    assert 1 < len(started) <= TRIAL_RENDERS


@each(
    ("text", "names", "expected"),
    [
        ("{{ a|default('x') }}{{ b }}", ["a", "b"], ["a"]),
        ("{{ a | d('x') }}", ["a"], ["a"]),
        ("{% if a is defined %}{{ a }}{% endif %}", ["a"], ["a"]),
        ("{% if a is not defined %}x{% else %}{{ a }}{% endif %}", ["a"], ["a"]),
        ("{% if a is undefined %}x{% endif %}", ["a"], ["a"]),
        ("{{ a|default('x') }}{{ a }}", ["a"], []),
        ("{% if a %}{{ a }}{% endif %}", ["a"], ["a"]),
        (
            "{{ user.title|default('') }}{{ user.name }}",
            ["user.name", "user.title"],
            ["user.title"],
        ),
        ("{{ a|default(b) }}", ["a", "b"], ["a"]),
        ("{{ aa|default('x') }}{{ a }}", ["a", "aa"], ["aa"]),
        ("{{ a|default('x') }}{{ [a]|join }}", ["a"], []),
        ("{{ a|default('x') }}{% if a is string %}{% endif %}", ["a"], []),
        ("{{ a|default('x')|currency('EUR') }}{{ b|date }}", ["a", "b"], []),
        ("{{ a|default(1)|currency('EUR') }}{{ b|date }}", ["a", "b"], ["a"]),
    ],
)
def test_a_guarded_variable_can_be_left_out(
    text: str, names: list[str], expected: list[str]
) -> None:
    """Optional is what the source guards everywhere; a variable used bare once is required."""
    assert inferred(ENGINE, [source_of(text)], names, lambda: None).optional == expected


def test_an_unguarded_use_in_any_source_makes_a_variable_required() -> None:
    """A translation that misses it would fail."""
    guarded, bare = "{{ a|default('x') }}", "{{ a }}"
    assert (
        inferred(ENGINE, [source_of(guarded), source_of(bare)], ["a"], lambda: None).optional == []
    )
    assert inferred(ENGINE, [source_of(guarded, "email", bare)], ["a"], lambda: None).optional == []
    assert inferred(
        ENGINE, [source_of(guarded, "email", guarded)], ["a"], lambda: None
    ).optional == ["a"]


def test_each_name_and_text_has_a_render_of_its_own() -> None:
    """The client allows one for each, and each gets its own time."""
    started: list[None] = []
    texts = [source_of("{{ a|default('x') }}{{ b|default('x') }}")] * 2
    found = inferred(ENGINE, texts, ["a", "b"], lambda: started.append(None)).optional
    assert found == ["a", "b"]
    assert len(started) == 4
