"""Errors of sources say what to write instead."""

import re
from pathlib import Path
from typing import Final

import pytest

from tasks.rendering.checks.minus import hyphenated
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.hints.unknown_names import NAMES, NOT_THERE
from tasks.rendering.limits import Limits
from tasks.rendering.syntax.blocks import tree
from tasks.rendering.trials.trial import sample, try_out
from tests.support.cases import each
from tests.support.sources import body_of, source_of

ENGINE: Final = Engine(Limits())


@each(
    ("source", "remedy"),
    [
        ("{% if a && b %}{% endif %}", "write 'and'"),
        ("{{ a || b }}", "write 'or'"),
        ("{{ a ? b : c }}", "{{ yes if condition else no }}"),
        ("{{ a ?? 'b' }}", "default"),
        ("{{ 'it's' }}", "double quotes"),
        ("{{ a |> upper }}", "write |"),
        (r"{{ 'C:\x' }}", r"write \\ for"),
        ("{{ a?.b }}", "default"),
        ("{% if !a %}{% endif %}", "write 'not'"),
        ("{{#if a}}b{{/if}}", "{% if a %}"),
        ("{{#each a}}b{{/each}}", "{% for item in a %}"),
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
        ("{{ a \u00d7 2 }}", "write *"),
        ("{% if a \u2265 2 %}{% endif %}", "write >="),
        ("{{ a <=> b }}", "write ==, < or >"),
        ("{{ a++ }}", "{% set n = n + 1 %}"),
        ("{{ $name }}", "no '$'"),
        ("{{ a | date: 'short' }}", "parentheses"),
        ("{{ first name }}", "no spaces"),
        ("{{ user.2fa }}", 'user["2fa"]'),
        ("{{ a\u200b }}", "U+200B is an invisible character"),
        ("<!-- {{ a -->", "write }}"),
        ("{{ a == 99999999999999999999999999999999999999999 }}", "as a value"),
        ("{% set first-name = 1 %}", "'-' is minus"),
        ("{% for line-item in a %}{% endfor %}", "'-' is minus"),
        ("{{ 1,5 }}", "a point, as in 1.5"),
        ("{% macro m %}{% endmacro %}", "{% macro name() %}"),
        ("{{{ a }}}", "two braces"),
        ("{{ a }", "ends with two braces"),
        ("{{ a.} }", "after the dot"),
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
        ("{% if a AND b %}{% endif %}", "write 'and'"),
        ("{% if a OR b %}{% endif %}", "write 'or'"),
        ("{% if NOT a %}{% endif %}", "write 'not'"),
        ("{% if a eq b %}{% endif %}", "write =="),
        ("{% if a contains 'b' %}{% endif %}", "{% if 'a' in name %}"),
        ("{% if a starts with 'b' %}{% endif %}", "startingwith"),
        ("{% if a not empty %}{% endif %}", "{% if not name %}"),
        ("{% if a == null %}{% endif %}", "write none"),
        ("{{ 'a' if b != undefined }}", "write none"),
        ("{% if a == TRUE %}{% endif %}", "write true"),
        ("{{else}}", "{% else %}"),
        ("{% trans %}a{% endtrans %}", "translations of the version"),
        ("{% comment %}a{% endcomment %}", "{# … #}"),
        ("{% verbatim %}a{% endverbatim %}", "{% raw %}"),
        ("{% render 'footer' %}", "include"),
        ("{% nope %}", "statements are if, elif"),
        ("{% set a 1 %}", "{% set name = value %}"),
        ("{{ a += 1 }}", "{% set n = n + 1 %}"),
        ("{% for a => b in c %}{% endfor %}", "object | items"),
        ("{% for a in b limit:2 %}{% endfor %}", "a slice"),
        ("{% include 'footer' with a %}", "sees all values"),
        ("{% if a %}{% endif a %}", "has no name"),
        ("{{ .a }}", "begins with a name"),
        ("{{ | upper }}", "a filter follows a value"),
        ("{{ a | uppercase }}", "write upper"),
    ],
)
def test_the_syntax_of_another_language_is_explained(source: str, remedy: str) -> None:
    """With the place, and what to write."""
    _, problems = ENGINE.inspect(f"a\n{source}", "body", html=False, needs={})
    assert remedy in problems[0]["message"]
    assert problems[0]["line"] == 2


def test_all_tags_of_another_engine_are_reported_at_once() -> None:
    """Of Handlebars and of Liquid, each at its place, with the tag to write instead.

    Tags of this engine are none of them.
    """
    written = {
        "{{#each user.orders}}": "{% for item in user.orders %}",
        "{{this.name}}": "{{ item.name }}",
        "{{~this~}}": "{{ item }}",
        "{{.}}": "{{ item }}",
        "{{@index}}": "{{ loop.index }}",
        "{{/each}}": "{% endfor %}",
        "{{#each . as |row|}}": "{% for row in items %}",
        "{{#if ../vip}}": "{% if vip %}",
        "{{else if this.b}}": "{% elif item.b %}",
        "{{#each this}}": "{% for item in item %}",
        "{{else}}": "{% else %}",
        "{{/if}}": "{% endif %}",
        "{{#unless a}}": "{% if not a %}",
        "{{^}}": "{% else %}",
        "{{/unless}}": "{% endif %}",
        "{{#with user}}": "{% with item = user %}",
        "{{/with}}": "{% endwith %}",
        "{{#lines}}": "{% if lines %} for a condition; for a list {% for item in lines %}",
        "{{^lines}}": "{% if not lines %}",
        "{{/lines}}": "{% endfor %} after a list",
        "{{#isEqual a 'b'}}": "{% if name %} or {% for",
        "{{> mail/footer-a b=c}}": '{% include "mail/footer-a" %}',
        "{{{ user.html }}}": "{{ user.html }}",
        "{{&html}}": "{{ html }}",
        "{{../name}}": "{{ name }}",
        "{{!-- a note --}}": "{# … #}",
    }
    source = "\n".join(f"{{{{ thisown }}}} {tag}" for tag in written)
    _, problems = ENGINE.inspect(source, "body", html=True, needs={})
    assert [each["line"] for each in problems] == [*range(1, len(written) + 1)]
    assert {each["column"] for each in problems} == {len("{{ thisown }} ") + 1}
    for found, (tag, remedy) in zip(problems, written.items(), strict=True):
        assert found["message"].startswith(f"'{tag}' is the syntax of Handlebars: write {remedy}")
    source = (
        "{% assign a = 1 %}\n{{ day | date: '%d' }}\n{{ a | append('b: c') }}\n{% unless a %}\n"
        "{% endunless %}\n{% case b %}\n{% when 'c' %}\n{% endcase %}{# {% assign %} #}"
    )
    _, problems = ENGINE.inspect(source, "body", html=True, needs={})
    assert [each["line"] for each in problems] == [1, 2, 4, 5, 6, 7, 8]
    assert "{% set name = value %}" in problems[0]["message"]
    assert "in parentheses" in problems[1]["message"]
    _, problems = ENGINE.inspect("{{ a && b }}\n{{#if a}}", "body", html=True, needs={})
    assert [each["line"] for each in problems] == [1]


@each(
    ("source", "remedy"),
    [
        ("{{ zip(xs, ys) }}", "names | zip(prices)"),
        ("{% for i in items %}{{ i.n }}{{ loop(i.children) }}{% endfor %}", "items recursive"),
        ("{{ 'Hi %s' % name }}", "| format(name)"),
    ],
)
def test_a_call_of_another_kind_is_explained_at_publish(source: str, remedy: str) -> None:
    """The remedy can be followed."""
    text = source_of(source, "sms")
    problems = ENGINE.inspect(source, "body", html=False, needs={})[1]
    declared = [{"name": "name", "type": "string"}, {"name": "items", "type": "array"}]
    found = [*problems, *try_out(ENGINE, text, declared, lambda: None)]
    assert any(remedy in problem["message"] for problem in found), found


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
        ("{{ user.billing-address.city }}", 'user["billing-address"]'),
        ("{{ first-name }}", "first_name"),
        ("{{ prénom-usuel }}", "name it prenom_usuel"),
        ("{{ 名前-姓 }}", "write first_name, in ASCII"),
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
        "{{ order.total-order.tax }}",
        "{{ a.b - c.d }}",
        "{{ (a)-(b) }}",
        "{{ a-b }}{{ b }}",
        "a-b",
        "{{- a -}}",
    ],
)
def test_a_subtraction_is_none(source: str) -> None:
    """With spaces, of numbers, or of variables that are used elsewhere."""
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
        ("{% endif %}", "no block before it is open"),
        ("{{ 'abc }}", "a text has no end: write its closing quote"),
        ("{{ (a }}", "'(' is not closed: write )"),
        ("{{ a[1 }}", "'[' is not closed: write ]"),
        ("{{ }}", "the expression is incomplete"),
        ("{{ a | }}", "a filter after each |"),
        ("{% if %}", "the block is incomplete"),
        ("{% %}", "a block holds a statement"),
    ],
)
def test_what_has_no_end_is_named(source: str, remedy: str) -> None:
    """What is open, in which line, and what closes it."""
    _, (problem,) = Engine(Limits()).inspect(source, "body", html=False, needs={})
    assert remedy in problem["message"]


@each(
    ("source", "remedy"),
    [
        ("<p>Hi {{ n </p><p>{{ m }}</p>", "'{{' in line 1 is not closed: write }} at its end"),
        ("Hallo {{ name, du hast {{ n }} Mails", "'{{' in line 1 is not closed"),
        ('<a href="{{ url">x</a><a href="{{ b }}">y</a>', "'{{' in line 1 is not closed"),
        ("{%- if n -%}x{%- endif</p>", "'{%' in line 1 is not closed: write %} at its end"),
        ("{% if n }x{% endif %}", "a block ends with %}"),
        ("{% for i in items }{{ i }}{% endfor %}", "a block ends with %}"),
        ("{% if n %}x{% endif }", "a block ends with %}"),
        ("{{ name %}", "a placeholder ends with }}"),
        ("{% if {{ a }} %}x{% endif %}", "a tag cannot be in another"),
        ("{{ {{ name }} }}", "a tag cannot be in another"),
        ("{% set x = {{ a }} %}", "a tag cannot be in another"),
        ("{{ a | default({{ b }}) }}", "a tag cannot be in another"),
        ("{{ name | default(&quot;x&quot;) }}", "has written &quot; into the tag"),
        ("{{&nbsp;name&nbsp;}}", "has written &nbsp; into the tag: write a space"),
        ("{% if a &gt; 1 %}x{% endif %}", "has written &gt; into the tag: write >"),
        ("{% if a &amp;&amp; b %}x{% endif %}", "write 'and'"),
        ("{{ <b>name</b> }}", "remove <b> from the tag"),
        ("{{ user.<span class='x'>name</span> }}", "remove <span class='x'> from the tag"),
        ("{{ name\u3000}}", "U+3000 is a space of print"),
        ("{{~name~}}", "write {{- name -}}"),
        ("{% if a) %}x{% endif %}", "no ( is open here"),
        ("{{ for i in items }}", "{% for item in items %}"),
        ("{{ n | plural(none='x', other='#') }}", "the form for 0 is exactly_0"),
        ("{n, plural, one {# day} other {# days}}", "this is ICU MessageFormat"),
        ("{% name %}", "a value is printed by {{ name }}"),
        ("{{ items | where('x') }}", "selectattr('kind', '==', 'new')"),
        ("{{ a | toUpperCase }}", "write upper"),
    ],
)
def test_a_tag_that_is_wrong_as_a_whole_is_explained(source: str, remedy: str) -> None:
    """As left by an editor of HTML, or with a brace too few."""
    problem = ENGINE.inspect(source, "body", html=True, needs={})[1][0]
    assert remedy in problem["message"]
    assert problem["line"] == 1


@each(
    ("source", "remedy"),
    [
        ("{{ len(x) }}", "macros of the source: write {{ items | length }}"),
        ("{{ date(x) }}", "date is a filter: write {{ value | date }}"),
        ("{{ _('x') }}", "translations of the version"),
        ("{{ isset(x) }}", "{% if name is defined %}"),
        ("{% for i in 1..5 %}{% endfor %}", "write range(1, 6)"),
        ("{% for i in [1] %}{{ loop.index1 }}{% endfor %}", "a loop has index, index0"),
        ("{{ [1] | batch }}", "batch: an argument is missing: write batch(3)"),
        ("{{ 'a' | tojson(indent=2) }}", "tojson: unknown argument"),
        ("{{ [1] | sum(nope=1) }}", "sum: unknown argument"),
    ],
)
def test_a_wrong_call_has_a_place_and_a_remedy(source: str, remedy: str) -> None:
    """Of functions of other engines, and of arguments that there are not."""
    declared = [{"name": "x", "type": "string"}]
    (problem,) = try_out(ENGINE, source_of(f"\n{source}", "sms"), declared, lambda: None)
    assert remedy in problem["message"]
    assert problem["line"] == 2


def test_a_sample_has_json() -> None:
    """In a preview without values, of a value whose shape nobody has declared."""
    declared = [{"name": "x", "type": "any"}]
    for kind in ("sms", "email"):
        assert sample(ENGINE, source_of("{{ x | tojson }}", kind), declared, lambda: None)["body"]


@each("call", ["default(value='a')", "d(value='a')", "default(default='a')", "default(1, 2, 3)"])
def test_a_wrong_argument_of_default_is_placed(call: str) -> None:
    """With what it takes, whatever the argument is named."""
    declared = [{"name": "x", "type": "string"}]
    (problem,) = try_out(ENGINE, source_of(f"\n{{{{ x|{call} }}}}"), declared, lambda: None)
    assert "default('there', true)" in problem["message"]
    assert problem["line"] == 2


@each(
    ("source", "remedy"),
    [
        ("{{ a | upcase }}", "unknown filter 'upcase': write upper"),
        ("{{ a | Size }}", "unknown filter 'Size': write length"),
        ("{{ a | truncat }}", "unknown filter 'truncat': write truncate"),
        ("{{ a | curency('EUR') }}", "unknown filter 'curency': write currency"),
        (
            "{{ a | qqq }}",
            "unknown filter 'qqq': write one of the filters that docs/templates.md lists",
        ),
        ("{% if a is empty %}{% endif %}", "unknown test 'empty': write {% if not name %}"),
        ("{% if a is qqq %}{% endif %}", "unknown test 'qqq': write one of the tests that docs/"),
        ("{% if a is devined %}{% endif %}", "unknown test 'devined': write defined"),
    ],
)
def test_unknown_names_say_which_there_are(source: str, remedy: str) -> None:
    """That of another engine, the nearest, or all of them."""
    (problem,) = ENGINE.inspect(source, "body", html=True, needs={})[1]
    assert problem["message"].startswith(remedy)


def test_a_name_in_quotes_is_explained_too() -> None:
    """``map`` looks its filter up when it runs."""
    (problem,) = try_out(ENGINE, source_of("{{ ['a'] | map('upcase') }}"), [], lambda: None)
    assert "unknown filter 'upcase': write upper" in problem["message"]


def test_the_names_are_those_of_the_engine_and_of_the_document() -> None:
    """Each that is listed is there, and none that has another name here."""
    for kind, source in (("filter", "{{{{ a | {} }}}}"), ("test", "{{{{ a is {} }}}}")):
        for name in (*NAMES[kind], *NOT_THERE[kind]):
            found = ENGINE.inspect(source.format(name), "body", html=True, needs={})[1] or []
            is_unknown = any(problem["type"] == f"unknown_{kind}" for problem in found)
            assert is_unknown == (name in NOT_THERE[kind]), name
    text = (Path(__file__).parents[2] / "docs" / "templates.md").read_text()
    table = text.partition("These filters are there:")[2].partition("Not there, on purpose")[0]
    assert {*NAMES["filter"], *NAMES["test"]} <= set(re.findall(r"`(\w+)`", table))


@each(
    "source",
    [
        *("{{ o.x | length }}", "{{ o.x | first }}", "{{ o.x | sort | join }}", "{{ o.x[:1] }}"),
        *("{% for i in o.x %}{% endfor %}", "{{ o.x + 1 }}", "{{ 2 * o.x }}", "{{ o.x | round }}"),
        *("{{ o.x | currency('EUR') }}", "{{ o.x | join }}", "{{ o.x | max }}"),
    ],
)
def test_a_null_is_named(source: str) -> None:
    """And not taken for a number that is too long."""
    with pytest.raises(SourceError, match=r"no value for o\.x") as caught:
        body_of(ENGINE, source_of(f"{{{{ y }}}}{source}"), {"o": {"x": None}, "y": 1})
    assert "decimal" not in caught.value.message


@each(
    ("source", "message"),
    [
        ("{{ s.toUpperCase() }}", "'toUpperCase' is not a method: use a filter"),
        ("{{ xs.join(', ') }}", "a value has no method 'join': use a filter"),
        ("{% for i in n %}{% endfor %}", "n: expected an array: a loop goes through one"),
        ("{% for a, b in xs %}{% endfor %}", "{% for key, item in object | items %}"),
        ("{{ s.length }}", "write {{ s | length }}"),
        ("{{ n | length }}", "length: expected an array, an object or a text"),
        ("{{ n | first }}", "first: expected an array or a text"),
        ("{{ n | split(',') }}", "split: expected a text"),
        ("{{ xs | batch('a') }}", "batch: expected a whole number"),
        ("{{ xs | batch(0) }}", "batch: expected a number of 1 or more"),
        ("{{ s | items }}", "items: expected an object"),
        ("{{ s | truncate(3) }}", "truncate(length=40, end='...')"),
        ("{{ s | replace('a') }}", "replace('a', 'b')"),
        ("{{ s | round }}", "round(2)"),
        ("{{ '%d' | format(s) }}", "a value for each % sign"),
        ("{{ rows | map('name') | join }}", "map(attribute='name')"),
        ("{{ nothing + 1 }}", "no value for nothing"),
        ("{{ o + 1 }}", "+ is for numbers, not for an object and a number"),
        ("{% set o.x = 1 %}", "namespace(count=0)"),
        ("{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=1) }}", "'b' is not an argument"),
        ("{{ range('a') | join }}", "range: expected a whole number"),
    ],
)
def test_an_error_of_a_render_says_what_to_write(source: str, message: str) -> None:
    """With its place, and without words of Python or of the engine."""
    values = {"s": "abc", "xs": [1], "n": 3, "o": {"a": 1}, "rows": [{"name": 1}], "nothing": None}
    with pytest.raises(SourceError) as caught:
        body_of(ENGINE, source_of(f"a\n{source}", "sms"), values)
    said = caught.value.problem["message"]
    assert message in said
    assert caught.value.problem["line"] == 2
    assert not re.search(r"None|dict\b|\blist\b|tuple|usize|iterable|string", said)


@each(
    ("source", "names"),
    [
        ("{{ a }} {{ n | date }}", "n"),
        ("{% for i in rows %}{{ i.name | currency('EUR') }}{% endfor %}", "rows[].name"),
        ("{% if a < n %}{% endif %}", "a, n"),
        ("{% set x = user.day %}{{ x | date }}", "user.day"),
        ("{{ rows | sum(attribute='name') }}", "rows"),
    ],
)
def test_the_sentence_of_an_error_names_the_variables_at_fault(source: str, names: str) -> None:
    """It is what a log has; values are in none."""
    values = {"a": "secret", "n": 3, "rows": [{"name": "secret"}], "user": {"day": "secret"}}
    with pytest.raises(SourceError) as caught:
        body_of(ENGINE, source_of(source, "sms"), values)
    assert caught.value.message.endswith(f"; variables: {names}")
    assert "secret" not in str(caught.value.problems)
