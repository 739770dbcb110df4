"""Errors of sources say what to write instead."""

from typing import Final

from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.minus import hyphenated
from tasks.rendering.syntax.blocks import tree
from tasks.rendering.trial import try_out
from tests.support.cases import each
from tests.support.sources import source_of

ENGINE: Final = Engine(Limits())


@each(
    ("source", "remedy"),
    [
        ("{% if a && b %}{% endif %}", "write 'and'"),
        ("{{ a || b }}", "write 'or'"),
        ("{{ a ? b : c }}", "{{ yes if condition else no }}"),
        ("{{ a ?? 'b' }}", "default"),
        ("{{ a?.b }}", "default"),
        ("{% if !a %}{% endif %}", "write 'not'"),
        ("{{#if a}}b{{/if}}", "{% if name %}"),
        ("{{#each a}}b{{/each}}", "{% for item in items %}"),
        ("{{/if}}", "{% endif %}"),
        ("{{> footer}}", "include"),
        ("{{ a|default(\u201cb\u201d) }}", "typographic quote"),
        ("{{ a \u2013 b }}", "dash"),
        ("{{ a\u00a0}}", "no-break space"),
        ("{% if a = b %}{% endif %}", "'=='"),
        ("{% if a === b %}{% endif %}", "'=='"),
        ("{% if a %}{% else if b %}{% endif %}", "{% elif"),
        ("{% if a %}{% elseif b %}{% endif %}", "{% elif"),
        ("{% unless a %}{% endunless %}", "{% if not"),
        ("{% assign a = 1 %}", "{% set name = value %}"),
        ("{% endfor %}", "no block before it"),
        ("{{ user->name }}", "user.name"),
        ("{{ $name }}", "no '$'"),
        ("{{ a | date: 'short' }}", "parentheses"),
        ("{{ first name }}", "no spaces"),
        ("{{{ a }}}", "two braces"),
        ("{{ a }", "ends with two braces"),
        ("{{ a.} }", "behind the dot"),
        ("{{ f(a }}", "'(' is not closed: write )"),
        ("{{ a|default( }}", "'(' is not closed: write )"),
        ("{{ a|default(value=[b) }}", "'[' is not closed: write ]"),
        ("{{ [a }}", "'[' is not closed: write ]"),
        ("{{ a[1: }}", "'[' is not closed: write ]"),
        ("{{ f(')', a }}", "'(' is not closed: write )"),
        ("{% if f(a %}b{% endif %}", "'(' is not closed: write )"),
        ("{% set b = [a %}", "'[' is not closed: write ]"),
        ("{{ f('a }}", "closing quote"),
        ("{% filter %}a{% endfilter %}", "{% filter upper %}"),
        ("{% if a %}{% else %}{% else %}{% endif %}", "one {% else %}"),
        ("{% if a %}{% else %}{% elif b %}{% endif %}", "one {% else %}"),
        ("{% for a of b %}{% endfor %}", "{% for item in items %}"),
    ],
)
def test_the_syntax_of_another_language_is_explained(source: str, remedy: str) -> None:
    """With the place, and what to write."""
    _, problems = ENGINE.inspect(f"a\n{source}", "body", html=False, needs={})
    assert remedy in problems[0]["message"]
    assert problems[0]["line"] == 2


@each("source", ["{{ now() }}", "{% if x == now() %}{% endif %}", "{{ now(1)|upper }}"])
def test_an_unknown_function_is_named_with_those_that_there_are(source: str) -> None:
    """And those of this service's own are none of them."""
    (problem,) = try_out(ENGINE, source_of(source), [{"name": "x", "type": "any"}], lambda: None)
    assert problem["message"].startswith("'now' is not a function; available: cycler, dict, ")
    assert "__" not in problem["message"]


@each(
    ("source", "written"),
    [
        ("{{ user.first-name }}", 'user["first-name"]'),
        ("{{ user.first-name|upper }}", 'user["first-name"]'),
        ("{{ user.date-of-birth }}", 'user["date-of-birth"]'),
        ("{% if user.is-new %}a{% endif %}", 'user["is-new"]'),
        ("{{ first-name }}", "first_name"),
        ("{% for i in items %}{{ i.unit-price }}{% endfor %}", 'i["unit-price"]'),
    ],
)
def test_a_name_with_a_hyphen_is_explained(source: str, written: str) -> None:
    """It would be a subtraction of two variables that nobody sends."""
    (found,) = hyphenated(source)
    assert "'-' is minus" in found.message
    assert written in found.message


@each(
    "source",
    [
        "{{ a - b }}",
        "{{ a-1 }}",
        "{{ a.b-c.d }}",
        "{{ (a)-(b) }}",
        "{{ a-b }}{{ b }}",
        "a-b",
        "{{- a -}}",
    ],
)
def test_a_subtraction_is_none(source: str) -> None:
    """With spaces, of numbers and members, or of variables that are used elsewhere."""
    assert hyphenated(source) == []


@each(
    "source",
    [
        "{% if a %}",
        "{{ a b }}",
        "{{ " + "1," * 50_000 + " }}",
        "{{ " + "(" * 500 + "a" + ")" * 500 + " }}",
        "{% if a %}" * 200 + "{% endif %}" * 200,
        "{{ a ~ " + "b ~ " * 30_000 + "c }}",
    ],
)
def test_what_cannot_be_read_is_left_to_the_engine(source: str) -> None:
    """Neither an error nor a stack that is exhausted."""
    assert tree(source) is None


def test_long_chains_of_operators_exhaust_nothing() -> None:
    """Their tree is deep; what walks it gives up."""
    source = "{{ " + " ~ ".join(["a"] * 3000) + " }}{{ a[:1] }}{% if a-b == 1 %}{% endif %}"
    assert tree(source) is not None
    assert ENGINE.uses([source_of(source)]) is None
    assert len(hyphenated(source)) == 1


@each(
    ("source", "remedy"),
    [
        ("a\n{{ n", "'{{' in line 2 is not closed: write }} at its end"),
        ("{{ a(", "'{{' in line 1 is not closed: write }} at its end"),
        ("{% if n", "'{%' in line 1 is not closed: write %} at its end"),
        ("\n{% if n %}", "'{% if %}' in line 2 is still open: write {% endif %} where it ends"),
        ("{% if a %}{% else %}", "'{% if %}' in line 1 is still open: write {% endif %}"),
        ("{% for a in b %}x", "write {% endfor %} where it ends"),
        ("{% macro x() %}", "write {% endmacro %} where it ends"),
        ("{% set b = 1 %}{% set a %}x", "write {% endset %} where it ends"),
        ("{% block b %}{% if x %}{% endif %}", "write {% endblock %} where it ends"),
        ("{% filter upper %}", "write {% endfilter %} where it ends"),
        ("{% raw %}{{ x", "write {% endraw %} where it ends"),
        ("{% with a = 1 %}x", "write {% endwith %} where it ends"),
        ("{% if a %}{% for b in c %}{% endif %}", "'{% for %}' in line 1 is still open"),
        ("{% if a %}x{% endfor %}", "'{% if %}' in line 1 is still open: write {% endif %}"),
        ("{% endif %}", "there is no block before it"),
        ("{{ 'abc }}", "a text has no end: write its closing quote"),
        ("{{ (a }}", "'(' is not closed: write )"),
        ("{{ a[1 }}", "'[' is not closed: write ]"),
        ("{{ }}", "the expression is incomplete"),
        ("{{ a | }}", "a filter behind each |"),
        ("{% if %}", "the block is incomplete"),
        ("{% %}", "a block holds a statement"),
    ],
)
def test_what_has_no_end_is_named(source: str, remedy: str) -> None:
    """What is open, in which line, and what closes it."""
    _, (problem,) = Engine(Limits()).inspect(source, "body", html=False, needs={})
    assert remedy in problem["message"]


@each("call", ["default(value='a')", "d(value='a')", "default(default='a')", "default(1, 2, 3)"])
def test_a_wrong_argument_of_default_is_placed(call: str) -> None:
    """With what it takes, whatever the argument is named."""
    declared = [{"name": "x", "type": "string"}]
    (problem,) = try_out(ENGINE, source_of(f"\n{{{{ x|{call} }}}}"), declared, lambda: None)
    assert "default('there', true)" in problem["message"]
    assert problem["line"] == 2
