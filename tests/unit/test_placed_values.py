"""Values in styles and in scripts of data: valid for their position, or refused."""

import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.html import contexts as html_contexts
from tasks.rendering.html.contexts import positions, unsafe_prints
from tasks.rendering.html.markup import pieces
from tasks.rendering.html.styles import Position
from tasks.rendering.limits import Limits
from tasks.rendering.placed_values import placed_edits
from tasks.rendering.trials.trial import sample, try_out
from tests.support.alarm import LONG, soon
from tests.support.cases import each
from tests.support.sources import body_of, rendered_body, source_of

ENGINE = Engine(Limits())
QUICK = settings(max_examples=150, deadline=None)

INJECTIONS = [
    "red;position:fixed",
    "red}body{display:none",
    "expression(alert(1))",
    "url(javascript:alert(1))",
    "url(https://example.org/)",
    "</style><script>alert(1)</script>",
    "\\72 ed",
    "re/**/d",
    "red !important",
    "javascript:alert(1)",
    "red\nposition:fixed; x",
    "var(--a)",
    "attr(title)",
    "image-set('a' 1x)",
    '"}',
    "'a",
    "<!--",
    "@import 'x'",
    "1px;",
]


def html(source: str, /, **values: object) -> str:
    """Render a body whose placeholders are accepted."""
    assert unsafe_prints(source) == []
    return body_of(ENGINE, source_of(source), values)


def refusal(source: str, /, **values: object) -> SourceError:
    """Return the error of values that are refused."""
    with pytest.raises(SourceError) as caught:
        html(source, **values)
    return caught.value


@each(
    ("style", "value"),
    [
        ("color: {{ x }}", "#0a66c2"),
        ("color: {{ x }}", "#FFF"),
        ("color: {{ x }}", "red"),
        ("color: {{ x }}", "rgb(10, 102, 194)"),
        ("background-color:{{ x }} !important", "rgba(0,0,0,.5)"),
        ("border-top-color: {{ x }};", "hsl(210deg 50% 40% / 0.5)"),
        ("border: 1px solid {{ x }}", "currentColor"),
        ("background: linear-gradient({{ x }}, #fff)", "#0a66c2"),
        ("color: #{{ x }}", "0a66c2"),
        ("width: {{ x }}px", "12"),
        ("width: {{ x }}%", "33.3"),
        ("width: {{ x }}", "12px"),
        ("width: {{ x }}", "auto"),
        ("margin: {{ x }}", "0 -1.5em 10% auto"),
        ("margin-{{ x }}: 0", "left"),
        ("width: calc(100% - {{ x }}px)", "12"),
        ("font-weight: {{ x }}", "bold"),
        ("font: {{ x }}", "12px/1.5 Arial, 'Open Sans'"),
        ("font-family: {{ x }}", "Helvetica, sans-serif"),
        ("--brand: {{ x }}", "#0a66c2"),
        ("{% if x %}color: {{ x }}{% else %}width: 1px{% endif %}", "red"),
        ("background: url({{ x }})", "https://example.org/a.png?b=c"),
        ("background: url('{{ x }}') no-repeat", "/a/b.png"),
        ("background: url(https://example.org/{{ x }}.png)", "a-1"),
        ("background: url({{ x }})", "data:image/png;base64,AAAA"),
        ("background: url({{ x }})", "cid:logo@example.org"),
    ],
)
def test_a_good_value_stands_in_a_style_as_it_is(style: str, value: str) -> None:
    """In an attribute and in a style sheet."""
    own = style.replace("{% if x %}", "").replace("{% else %}width: 1px{% endif %}", "")
    expected = own.replace("{{ x }}", value)
    page = html(f'<p style="{style}">', x=value)
    assert unescape(page) == f'<p style="{expected}">'
    sheet = f"<style>.a {{ {style} }}</style>"
    assert html(sheet, x=value) == f"<style>.a {{ {expected} }}</style>"


@each(
    "style",
    [
        "color: {{ x }}",
        "border: 1px solid {{ x }}",
        "width: {{ x }}",
        "width: {{ x }}px",
        "width: {{ x }}%",
        "color: #{{ x }}",
        "margin-{{ x }}: 0",
        "width: calc(1px + {{ x }})",
        "color: rgb({{ x }}, 0, 0)",
        "a: {{ x }}{{ x }}",
    ],
)
def test_what_would_be_more_than_a_value_is_refused(style: str) -> None:
    """With its place, and without the value in the words."""
    for value in INJECTIONS:
        for source in (f'<p style="{style}">', f"<style>.a {{ {style} }}</style>"):
            error = refusal(source, x=value)
            assert error.code == Code.VARIABLES_INVALID
            assert error.problem["column"] == source.index("{{ x }}") + 1
            assert "expected" in error.message
            assert "'x' in a style" in error.message
            assert value not in error.message


@each("value", [True, [1], {"a": 1}, None])
def test_what_is_neither_text_nor_number_is_refused(value: object) -> None:
    """As it could not mean anything in a style."""
    assert refusal("<p style='color: {{ x.y }}'>", x={"y": value}).problem["column"] == 18


@each(
    "value",
    [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "vbscript:x",
        "data:text/html,x",
        "data:image/svg+xml,x",
        "file:///etc/passwd",
        ":x",
    ],
)
def test_the_address_of_a_style_has_a_safe_scheme(value: str) -> None:
    """Whether it is quoted or not, and also after another placeholder."""
    for style in ("a: url({{ x }})", "a: url( '{{ x }}' )", "a:URL({{ y }}{{ x }})"):
        error = refusal(f'<p style="{style}">', x=value, y="")
        assert "https:" in error.message


def test_an_address_ends_neither_itself_nor_the_sheet() -> None:
    """What could is percent-encoded."""
    page = html("<style>a{b:url({{ x }})}</style>", x="/a)}</style>'\"\\ b?c&d")
    assert page == "<style>a{b:url(/a%29%7D%3C/style%3E%27%22%5C%20b?c&d)}</style>"
    page = html('<p style="b:url({{ x }})">', x="/a?c&d")
    assert page == '<p style="b:url(/a?c&amp;d)">'


def test_captured_text_is_validated_too() -> None:
    """What a template captured stands for the text that it shows."""
    source = "{% set c %}{{ x }}{% endset %}<p style='color: {{ c }}'>"
    assert html(source, x="red") == "<p style='color: red'>"
    assert refusal(source, x="red;a:b").code == Code.VARIABLES_INVALID


def test_an_if_without_else_is_nothing() -> None:
    """As elsewhere in a template."""
    source = "<p style='color: {{ x if y }}{{ (x if x) }}'>"
    assert html(source, x="red", y=False) == "<p style='color: red'>"


@each("style", ["#{{ x | upper }}", "{{ x | lower }}px", "url({{ x }})", "'{{ x }}'", "{{ x }}"])
def test_made_up_values_of_a_trial_are_accepted(style: str) -> None:
    """Nobody can say which colour a variable without an example would have."""
    for value in ("text", 1.5, "https://example.org/"):
        source = source_of(f'<p style="a: {style}">')
        if not (value == 1.5 and "|" in style):
            rendered_body(ENGINE, ENGINE.prepare(source), {"x": value}, is_trial=True)


@each(
    ("source", "expected"),
    [
        ("<p style='color: {{ x }}'>", "color: gray"),
        ("<p style='color: #{{ x }}'>", "color: #808080"),
        ("<p style='color: {{ x | upper }}'>", "color: gray"),
        ("<p style='width: {{ x }}'>", "width: 16px"),
        ("<p style='width: {{ x }}px'>", "width: 16px"),
        ("<p style='width: {{ x }}%'>", "width: 16%"),
        ("<p style='font-weight: {{ x }}'>", "font-weight: inherit"),
        ("<p style='a: url({{ x }})'>", "a: url(https://example.org/)"),
        ("<p style='a: url(https://a/{{ x }}.png)'>", "a: url(https://a/text.png)"),
        ("<style>.{{ x }} { font: '{{ x }}' }</style>", ".text { font: 'text' }"),
        ("<p style='transform: translateX({{ x }})'>", "translateX(16px)"),
        ("<p style='transform: rotate({{ x }}) scale({{ x }})'>", "rotate(16deg) scale(1)"),
        ('<p style="font: {{ x }} Arial">', "font: 16px Arial"),
        ('<p style="font: 12px/{{ x }} {{ x }}">', "font: 12px/16px sans-serif"),
        ("<style>p{font:bold {{ x }}/{{ x }} Arial}</style>", "font:bold 16px/16px Arial"),
        ("<p style='font-family: {{ x }}, Arial'>", "font-family: sans-serif, Arial"),
        ("<p style='color: rgb({{ x }},0,0)'>", "rgb(128,0,0)"),
        ("<p style='color: rgba(1, 2, 3, {{ x }})'>", "rgba(1, 2, 3, 1)"),
        ("<p style='color: hsl({{ x }} {{ x }} 50%)'>", "hsl(120 50% 50%)"),
        ("<p style='border: {{ x }} {{ x }} {{ x }}'>", "border: 1px solid gray"),
        ("<p style='border-top: 2px {{ x }} red'>", "border-top: 2px solid red"),
        ("<p style='width: calc(100% - {{ x }})'>", "calc(100% - 16px)"),
        ("<p style='background: linear-gradient({{ x }}, red {{ x }})'>", "(gray, red 50%)"),
        ("<p style='box-shadow: 0 {{ x }} 3px {{ x }}'>", "0 16px 3px gray"),
        ("<p style='transition: all {{ x }}; flex: {{ x }} 1 auto'>", "all 1s; flex: 1 1 auto"),
        ('<script type="application/ld+json">{"a": {{ x | tojson }}}</script>', '{"a": "text"}'),
        (
            '<script type="application/ld+json; charset=utf-8">{{ x | tojson }}</script>',
            '"text"',
        ),
    ],
)
def test_a_preview_has_a_value_for_each_position(source: str, expected: str) -> None:
    """One that could stand there, whether the variable has a type or not."""
    for kind in ("any", "string"):
        declared = [{"name": "x", "type": kind}]
        assert expected in sample(ENGINE, source_of(source), declared, lambda: None)["body"]


def test_a_preview_keeps_an_example_that_may_stand_at_its_position() -> None:
    """Also one with the word of samples in it."""
    source = source_of("<p style='color: {{ x }}; a: url({{ u }})'>")
    declared = [
        {"name": "x", "type": "string", "example": "textcolour"},
        {"name": "u", "type": "url"},
    ]
    body = sample(ENGINE, source, declared, lambda: None)["body"]
    assert body == "<p style='color: textcolour; a: url(https://example.org/)'>"


def test_errors_keep_the_places_of_the_source() -> None:
    """Although the engine gets a longer one."""
    for source, column in (
        ("<p style='color: {{ x }}'>{{ y.z.a }}", 33),
        ("<p style='color: {{ x.y.z }}'>", 25),
    ):
        problem = refusal(source, x="red", y={}).problem
        assert (problem["line"], problem["snippet"].partition("\n")[0]) == (1, source)
        assert problem["column"] == pytest.approx(column, abs=5)


def test_a_print_that_is_refused_today_is_escaped_in_a_stored_text() -> None:
    """A version that was published before renders as it did."""
    source = "<p style='{{ x }}'><script type='a/b+json'>\"{{ x }}\"</script>"
    assert placed_edits(source).applied(source).text == source
    page = body_of(ENGINE, source_of(source), {"x": "<"})
    assert page == "<p style='&lt;'><script type='a/b+json'>\"&lt;\"</script>"


class _Elements(HTMLParser):
    """Collects start tags, the style of the first and the content of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.data = ""
        self.style = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.style = self.style or dict(attrs).get("style") or ""

    def handle_data(self, data: str) -> None:
        self.data += data


def read(page: str) -> _Elements:
    """Read a page with another parser."""
    parser = _Elements()
    parser.feed(page)
    parser.close()
    return parser


JSON_SCRIPT = """<script type="application/ld+json">
{"a": {{ x | tojson }}, "b": [{{ 1|tojson }}]}
</script>"""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@QUICK
@given(VALUES)
@example("</script><script>alert(1)</script><!-- & \u2028")
@example({"<!--": ["]]>", "<script"]})
def test_json_in_a_script_is_read_back(value: object) -> None:
    """Whatever the value, and nothing in it ends the script."""
    page = read(html(JSON_SCRIPT, x=value))
    assert page.names == ["script"]
    assert json.loads(page.data) == {"a": value, "b": [1]}
    for mark in ("<", "&", "\u2028"):
        assert mark not in page.data


def test_an_object_may_be_a_whole_script() -> None:
    """And loops and conditions may be around it."""
    source = """<script type="application/json">[{% for i in x -%}
{{ i|tojson }}{% if not loop.last %},{% endif %}{% endfor %}]</script>"""
    assert json.loads(read(html(source, x=[{"a": "/"}, 2])).data) == [{"a": "/"}, 2]


ALPHABET = st.sampled_from([*"a1;:{}()<>\"'\\/*#-@!&,. \n", "url(", "expression(", "</style>"])
HOSTILE = st.lists(ALPHABET, max_size=8).map("".join)
STYLES = {
    "color: {{ x }}; b: c": "red",
    "width: {{ x }}px; b: c": "1",
    "a: 'f {{ x }}'; b: c": "x",
    "a: url({{ x }}) d; b: c": "x",
    "a: url('/{{ x }}') d; b: c": "x",
    "a: {{ x }}; b: c": "x",
}


def marks(css: str) -> list[str]:
    """Return what gives a style its structure, outside of strings and addresses."""
    bare = re.sub(r"url\([^()'\"\s\\]*\)|url\('[^'\\]*'\)|'(?:[^'\\\n]|\\.)*'", "S", css)
    bare = re.sub(r"rgba?\([^()]*\)|hsla?\([^()]*\)", "C", bare)
    return re.findall(r"[;:{}()\\!@<'\"]|/\*", bare)


@QUICK
@given(st.sampled_from(sorted(STYLES)), HOSTILE)
@example("a: 'f {{ x }}'; b: c", "\\';x:y")
@example("a: url({{ x }}) d; b: c", "a b);x:y")
def test_no_value_changes_the_structure_of_a_style(style: str, value: str) -> None:
    """As an attribute and in a sheet, the same properties are there with any accepted value."""
    for source in (f'<p style="{style}">', f"<style>a{{{style}}}</style>"):
        expected = read(html(source, x=STYLES[style]))
        try:
            page = read(html(source, x=value))
        except SourceError:
            continue
        assert page.names == expected.names
        # A value may have strings of its own.
        own = [mark for mark in marks(page.style + page.data) if mark not in "'\""]
        assert own == marks(expected.style + expected.data)


@QUICK
@given(st.lists(st.sampled_from([*"a;:{}()\"'\\ @#", "{{ x }}", "url(", "/*", "*/"])).map("".join))
def test_any_style_is_judged(css: str) -> None:
    """Each placeholder has a position or a refusal."""
    assume(not {"{{{", "}}}"}.intersection(css[i : i + 3] for i in range(len(css))))
    assume("{#" not in css)
    assume("{{" not in css.replace("{{ x }}", " "))
    source = f"<style>{css}</style>"
    judged = len(positions(source)) + len(unsafe_prints(source))
    assert judged == source.count("{{ x }}")


STYLED = st.sampled_from(
    [
        *("<p ", "style", "STYLE", " = ", "=", '"', "'", "color:", ";", ">", "a", " ", "<b"),
        *('{% if a == "x" %}', "{%- if a -%}", "{% endif %}", "{{ x }}", "{# ' #}", "<style>"),
        *("<{% if a %}style>", "</style>", "<script type='a/b+json'>", "{{ x|tojson }}"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(STYLED, max_size=12).map("".join))
@example("<p style='{% if a == \"'\" %}color:{{ x }}{% endif %}'>")
@example("<p style{% if a %}{% endif %}='color:{{ x }}'>")
@example('<p style={% if a %}"color:{{ x }}"{% endif %}>')
@example("<{%- if a -%} style>a{color:{{ x }}}")
def test_no_position_is_missed_by_the_quick_look(source: str) -> None:
    """What most sources are spared finds nothing that is not there."""
    close = [
        tag.start
        for tag, what in html_contexts._judged(*pieces(source))
        if isinstance(what, Position)
    ]
    assert [tag.start for tag, _ in positions(source)] == close


@each("piece", ["a", "{{x}}", "url(", "a:{{x}};", "'", "a(", "/*", "url({{x}}", ":", "a{", "@"])
def test_a_long_style_is_judged_in_time(piece: str) -> None:
    """In proportion to its length."""
    css = (piece * LONG)[:LONG]
    with soon():
        positions(f"<style>{css}</style>")
        positions(f'<p style="{css}">')


@each("value", [12, 12.5, "12", "0 12", "12px 4", ".5", "-4", "1e3"])
def test_a_length_needs_its_unit(value: object) -> None:
    """A browser ignores a declaration of a bare number."""
    for style in ("width: {{ x }}", "MARGIN: 0 {{ x }}", "border-left: {{ x }} solid red"):
        for source in (f"<p style='{style}'>", f"<style>p{{ {style} }}</style>"):
            assert "with their units" in refusal(source, x=value).message
    assert "opacity: " in html("<p style='opacity: {{ x }}'>", x=value)


@each("value", [0, "0", "12px", "0 auto", "50% 1.5em", "thin", "1px solid rgb(1, 2, 3)"])
def test_a_length_with_its_unit_is_accepted(value: object) -> None:
    """Zero needs none, nor do numbers of functions."""
    assert html("<p style='border: {{ x }}'>", x=value) == f"<p style='border: {value}'>"


@each(("kind", "accepted"), [("integer", False), ("decimal", False), ("string", True)])
def test_a_publish_refuses_a_number_as_a_length(kind: str, accepted: bool) -> None:  # noqa: FBT001 - a case
    """The unit follows the placeholder then."""
    declared = [{"name": "x", "type": kind}]
    bare = try_out(ENGINE, source_of("<p style='width: {{ x }}'>"), declared, lambda: None)
    assert (bare == []) is accepted
    unit = source_of("<p style='width: {{ x }}px'>")
    assert try_out(ENGINE, unit, declared, lambda: None) == []


@each(
    "data",
    [
        *('{"a": {{ x | tojson }}, }', '{"a": {{ x | tojson }} "b": 1}', "{'a': 1}"),
        '[{% for i in l %}{"a": {{ i | tojson }}},{% endfor %}]',
        '{"a": {% if b %}{{ x | tojson }}{% endif %}}',
    ],
)
def test_a_publish_refuses_a_data_script_that_is_not_json(data: str) -> None:
    """Gmail would show no action, and say nothing."""
    declared = [
        {"name": "b", "type": "boolean"},
        {"name": "l", "type": "array"},
        {"name": "x", "type": "string"},
    ]
    page = f'<p>{{{{ x }}}}</p><script type="application/ld+json">{data}</script>'
    (problem,) = try_out(ENGINE, source_of(page, "email"), declared, lambda: None)
    assert problem["type"] == "script_json"
    assert problem["column"] == page.index(data) + 1
