"""Captured markup stays markup, values stay escaped, and the text part says what the page does."""

import pytest
from hypothesis import example, settings
from hypothesis import given as drawn
from hypothesis import strategies as st
from minijinja import Environment, TemplateError

from tasks.errors import Code
from tasks.rendering.checks.captures import is_entangled, misused
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.plain_text import text_of
from tasks.rendering.rewriting import Edits, rewritten
from tests.support.alarm import LONG, soon
from tests.support.cases import each
from tests.support.sources import given, rendered_body, source_of

ENGINE = Engine(Limits())
QUICK = settings(max_examples=150, deadline=None)
SET = "{% set a %}<b>{{ n }}</b>{% endset %}"
MACRO = "{% macro m(x) %}<i>{{ x }}</i>{% endmacro %}"
NAME = "A & B's <x>/"
B = "<b>A &amp; B&#x27;s &lt;x&gt;/</b>"
N = "A &amp; B&#x27;s &lt;x&gt;/"


def with_joins(source: str) -> str:
    """Return what the engine compiles of a source of HTML."""
    return rewritten(source, Edits()).text


def mail(source: str, /, **values: object) -> tuple[str, str]:
    """Return page and text of a mail whose source is accepted."""
    text = source_of(source, "email")
    names, problems = ENGINE.inspect(source, "body", html=True, needs={})
    assert problems == []
    assert names is not None
    parts = ENGINE.render(ENGINE.prepare(text), given(values))
    return parts["body"], parts["text"]


@each(
    ("use", "expected"),
    [
        ("{{ a }}", B),
        ('{{ a ~ "!" }}', f"{B}!"),
        ('{{ "<" ~ a ~ n ~ 1 }}', f"&lt;{B}{N}1"),
        ("{% set b = a ~ a %}{{ b ~ '&' }}", f"{B}{B}&amp;"),
        ("{{ ('x' ~ n) ~ a if true else '' }}", f"x{N}{B}"),
        ("{{ (a if false) ~ n }}", N),
        ("{% if 'x' ~ n == 'x' %}1{% else %}{{ a }}{% endif %}", B),
        ("{{ 2 | plural(one=a, other='# of ' ~ a) }}", f"2 of {B}"),
        ("{{ 1 | plural(one=a, other='<#>') }}", B),
        ("{{ 2 | plural(one=a, other='<#>') }}", "&lt;2&gt;"),
        ("{{ [a, n] | list }}", f"{B} and {N}"),
        ("{{ [n, n] | list('or') }}", f"{N} or {N}"),
        ("{{ [a, n] | join('<') }}", f"{B}&lt;{N}"),
        ("{{ [n, n] | join(a) }}", f"{N}{B}{N}"),
        ("{{ [n, n] | join(', ') | upper }}", f"{N}, {N}".replace("x&", "X&").replace("s ", "S ")),
        ("{{ [n, n] | join(', ') | replace('&', '+') }}", f"{N}, {N}".replace("&amp;", "+")),
        ("{{ a | trim }}{{ a | default('x') }}{{ none_ | default(a) }}{{ a | string }}", B * 4),
        ("{{ a | e }}{{ n | e }}", f"{B}{N}"),
        ("{% for each in [a, n] %}{{ each }}{% endfor %}", f"{B}{N}"),
        ("{% set ns = namespace(x=a) %}{{ ns.x }}{{ {'k': a}.k }}{{ [a][0] }}", B * 3),
        ("{% with b = a %}{{ b }}{% endwith %}", B),
        ("{{ m(a) }}{{ m(n) ~ m('<') }}", f"<i>{B}</i><i>{N}</i><i>&lt;</i>"),
        ("{% filter trim %} {{ a }} {% endfilter %}", B),
        ("{% set c | trim %} {{ n }} {% endset %}{{ c }}", N),
        ("{{ a | striptags }}", N),
        ("{% if a %}{{ a }}{% endif %}{{ 'y' if a == n else 'z' }}", f"{B}z"),
        ("{% set d %}2026-01-31{% endset %}{{ d | date('yyyy') }}", "2026"),
        ("{% set d %}Europe/Berlin{% endset %}{{ t | time(timezone=d) }}", "1:00\u202fPM"),
        ("{{ n | truncate(length=4, end='&') }}", "A&amp;"),
        (
            "{{ n | upper }}{{ n | replace('x', '<') }}",
            "A &amp; B&#x27;S &lt;X&gt;/A &amp; B&#x27;s &lt;&lt;&gt;/",
        ),
    ],
)
def test_markup_stays_markup_and_values_stay_escaped(use: str, expected: str) -> None:
    """As in Jinja2; and the text part says what the page shows."""
    page, text = mail(f"{SET}{MACRO}{use}", n=NAME, t="2026-01-31T12:00:00Z")
    assert page == expected
    assert text == text_of(page)


@each(
    ("use", "name"),
    [
        ("{{ a | upper }}", "upper"),
        ("{{ a | lower }}", "lower"),
        ("{{ a | title }}", "title"),
        ("{{ a | capitalize }}", "capitalize"),
        ("{{ a | replace('x', 'y') }}", "replace"),
        ("{{ n | replace('x', a) }}", "replace"),
        ("{{ a | truncate(length=5) }}", "truncate"),
        ("{{ a | trim | truncate(length=5) }}", "truncate"),
        ("{{ a | wordwrap(width=5) }}", "wordwrap"),
        ("{{ a | urlencode }}", "urlencode"),
        ("{{ a | length }}", "length"),
        ("{{ a | first }}", "first"),
        ("{{ a | split | last }}", "split"),
        ("{{ '%s' | format(a) }}", "format"),
        ("{{ n | e | upper }}", "upper"),
        ("{{ m(n) | upper }}", "upper"),
        ("{{ [a, n] | join | upper }}", "upper"),
        ("{{ ('x' ~ a) | upper }}", "upper"),
        ("{{ (2 | plural(one=a, other=a)) | upper }}", "upper"),
        ("{% set b = a %}{{ b | upper }}", "upper"),
        ("{% for b in [a] %}{{ b | upper }}{% endfor %}", "upper"),
        ("{% with b = a %}{{ b | upper }}{% endwith %}", "upper"),
        ("{% set ns = namespace(x='') %}{% set ns.x = a %}{{ ns.x | upper }}", "upper"),
        ("{% macro k(x) %}{{ x | upper }}{% endmacro %}{{ k(a) }}", "upper"),
        (
            "{% macro k() %}{{ caller() | upper }}{% endmacro %}{% call k() %}a{% endcall %}",
            "upper",
        ),
        ("{% filter upper %}<b>{{ n }}</b>{% endfilter %}", "upper"),
        ("{% set b | upper %}{{ n }}{% endset %}{{ b }}", "upper"),
        ("{{ super() | upper }}", "upper"),
        ("{{ self.body() | upper }}", "upper"),
        ("{{ a + '!' }}", "~"),
        ("{{ '!' + a }}", "~"),
        ("{{ a * 2 }}", "~"),
        ("{{ a[:3] }}", "subscripts"),
        ("{{ a[0] }}", "subscripts"),
        ("{{ a.upper() }}", "methods"),
    ],
)
def test_what_would_cut_or_change_markup_is_refused(use: str, name: str) -> None:
    """At its place, saying how to write it."""
    source = f"{SET}{MACRO}{use}"
    (misuse,) = misused(source)
    assert name in misuse.message
    assert "values inside" in misuse.message
    assert misuse.start >= len(SET + MACRO)
    _, problems = ENGINE.inspect(source, "body", html=True, needs={})
    assert [problem["type"] for problem in problems] == ["markup"]


@each(
    "use",
    [
        "{{ m('Pay', base ~ '/pay') }}",
        "{{ m(n | upper) }}{{ n | upper }}{{ n[:2] }}{{ n.upper() }}{{ n + 'x' }}",
        "{{ [n, n] | join(', ') | truncate(length=5) }}",
        "{{ [a, n] | length }}{{ ([a, n] | first) }}",
        "{{ a | tojson }}",
    ],
)
def test_values_and_lists_may_be_changed_as_before(use: str) -> None:
    """Also beside markup, and as arguments of macros."""
    assert misused(f"{SET}{MACRO}{use}") == []


def test_a_filter_of_a_stored_text_reads_what_markup_without_tags_shows() -> None:
    """A version of before may have what a publish refuses now."""
    source = source_of(
        "{% set a %}{{ n }}{% endset %}{{ a | urlencode }} {{ a | truncate(length=3) }}"
    )
    page = rendered_body(ENGINE, ENGINE.prepare(source), given({"n": "a&b cd efg hij"}))
    assert page == "a%26b%20cd%20efg%20hij ..."


def test_what_a_recursive_loop_gives_is_markup() -> None:
    """As what a macro gives."""
    source = "{% for i in n recursive %}<b>{{ i.a }}</b>{{ loop(i.n) ~ '<' }}{% endfor %}"
    page, _ = mail(source, n=[{"a": "&", "n": [{"a": "x", "n": []}]}])
    assert page == "<b>&amp;</b><b>x</b>&lt;&lt;"


def test_a_partial_cannot_cut_what_it_is_given() -> None:
    """What no publish sees, a render refuses."""
    source = source_of(
        f"{SET}{{% include 'part' %}}", partials={"part": "{{ a | truncate(length=3) }}"}
    )
    with pytest.raises(SourceError) as caught:
        ENGINE.render(ENGINE.prepare(source), given({"n": NAME}))
    assert caught.value.code == Code.TEMPLATE_SYNTAX
    assert "markup" in caught.value.message
    joined = source_of(f"{SET}{{% include 'part' %}}", partials={"part": "{{ a ~ '!' }}"})
    assert ENGINE.render(ENGINE.prepare(joined), given({"n": NAME}))["body"] == f"{B}!"


@each(
    ("use", "expected"),
    [
        ("{{ a }}", False),
        ("{{ m('x') }}{{ m(n ~ '!') }}{{ n | e }}", False),
        ("{% call m(1) %}x{% endcall %}", False),
        ("{% if n %}{{ a }}{% endif %}", False),
        ("{% if a %}x{% endif %}", True),
        ("{{ a ~ '!' }}", True),
        ("{{ m(a) }}", True),
        ("{% include 'p' %}", True),
        ("{% filter trim %}x{% endfilter %}", True),
    ],
)
def test_only_what_uses_markup_otherwise_has_its_text_made_of_the_page(
    use: str, expected: object
) -> None:
    """Printing needs no page, and is the rule."""
    assert is_entangled(f"{SET}{MACRO}{use}") is expected
    assert not is_entangled(use.replace("a ", "n ").replace("(a)", "(n)")) or "filter" in use


OBJECT = "~: an object has no text: print one of its members, or use tojson"


def test_errors_of_joined_texts_are_those_of_the_engine() -> None:
    """A missing value and a null are named, with the place in the author's source."""
    for use, values, message in (
        ("{{ x ~ missing }}", {"x": 1}, "~: a value is missing, no value for missing"),
        ("{{ x.y ~ 'a' }}", {"x": {"y": None}}, "null would be printed: x.y"),
        ("{{ 1 ~ 'a' }}{{ x.y.z }}", {"x": {}}, "no value for x.y.z"),
        ("{{ x ~ 'a' }}", {"x": {}}, f"{OBJECT}; variables: x"),
    ):
        with pytest.raises(SourceError) as caught:
            mail(use, **values)
        assert caught.value.message == message


OPERANDS = st.sampled_from(["a", "'t'", "1", "(1 + 2)", "[1, 'x']", "-1", "o.k", "o['k']"])
OPERATORS = st.sampled_from(
    ["~", " ~ ", "+", "*", "and", "or", "|upper ~", "|default('x') ~", "is string ~"]
)
EXPRESSIONS = st.recursive(
    OPERANDS,
    lambda inner: st.one_of(
        st.tuples(inner, OPERATORS, inner).map(" ".join),
        inner.map("({})".format),
        inner.map("(not {})".format),
        st.tuples(inner, inner).map(lambda two: f"{two[0]} if {two[1]} else 'n'"),
        st.tuples(inner, inner).map(lambda two: f"[{two[0]}, {two[1]}]"),
    ),
    max_leaves=6,
)
PLAIN = Environment(undefined_behavior="strict", auto_escape_callback=lambda _name: False)
PLAIN.add_global(
    "__joined", lambda _, *values: "".join(PLAIN.eval_expr("v ~ ''", v=v) for v in values)
)
PLAIN.add_global(
    "__calculated", lambda _, a, sign, b: PLAIN.eval_expr(f"left {sign} right", left=a, right=b)
)


def outcome(source: str) -> str | None:
    """Return what a source gives, or None if it fails."""
    try:
        return PLAIN.render_str(source, a="text", o={"k": "v"})
    except TemplateError:
        return None


@QUICK
@drawn(EXPRESSIONS)
@example("a ~ 1 + 2 ~ 't'")
@example("a ~ 1 * 2 ~ -1")
@example("a ~ 'b' if a ~ 'c' else 'd' ~ a")
@example("not a ~ 'b' and not 'c' ~ a")
def test_a_written_join_means_what_the_operator_does(expression: str) -> None:
    """Precedence and brackets are the engine's; lines stay."""
    for source in (f"{{{{ {expression} }}}}", f"{{% set x = {expression} %}}{{{{ x }}}}"):
        written = with_joins(source)
        # What the engine refuses is refused at the publish, by its own words.
        if (expected := outcome(source)) is not None:
            assert outcome(written) == expected
            assert "~" not in written


@each(
    "piece", ["not ", "-", "(", "[", "a~", "a|f ", "a.b", "a if ", "{a:", "'", "a(", "a[1]", "1+"]
)
def test_a_long_expression_is_read_in_time(piece: str) -> None:
    """Chains and nests come to an end."""
    text = (piece * LONG)[:LONG]
    with soon():
        with_joins(f"{{{{ {text} ~ a }}}}")
        misused(f"{SET}{{{{ {text} }}}}{{{{ {text} }}}}")


@each(
    "condition",
    [
        *("a == 'A & B'", "'A & B' == a", "a != 'A' and a in ['A & B']", "'& B' in a"),
        *("a == n", "a is eq('A & B')"),
    ],
)
def test_captured_text_is_compared_as_it_is_read(condition: str) -> None:
    """Not as it is escaped: no author writes A &amp; B in a condition."""
    source = f"{{% set a %}}{{{{ n }}}}{{% endset %}}{{% if {condition} %}}same{{% endif %}}"
    assert mail(source, n="A & B") == ("same", "same")
