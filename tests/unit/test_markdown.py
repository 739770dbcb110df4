"""Markdown values: the only values that become markup, and only where markup can stand."""

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from tasks.errors import Code, Problem
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.limits import Limits
from tasks.rendering.texts import Text
from tasks.rendering.trials.trial import try_out
from tests.support.cases import each
from tests.support.sources import given, rendered_body, source_of

QUICK = settings(max_examples=150, deadline=None)
ENGINE = Engine(Limits())
NOTE = {"name": "note", "type": "markdown"}


def parts(source: str, /, kind: str = "email", **values: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Render a body in which ``note`` is Markdown."""
    text = Text(**{**source_of(source, kind), "markdown": ["note"]})
    return ENGINE.render(ENGINE.prepare(text), given(values))


def html(note: str, source: str = "{{ note }}") -> str:
    """Return the HTML that a value gives."""
    body: str = parts(source, note=note)["body"]
    return body


def tried(source: str, kind: str = "email") -> list[Problem]:
    """Return the problems of the trial renders of a publish."""
    return try_out(ENGINE, source_of(source, kind), [NOTE], lambda: None)


class Page(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.add(tag)
        self.attributes += attrs


@each(
    ("note", "body"),
    [
        ("Hi *you*", "Hi <em>you</em>"),
        ("**a** ~~b~~ `c`", "<strong>a</strong> <s>b</s> <code>c</code>"),
        ("a\nb", "a<br />\nb"),
        ("a\n\nb", "<p>a</p>\n<p>b</p>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ('<b>a</b> & "c"', "&lt;b&gt;a&lt;/b&gt; &amp; &quot;c&quot;"),
        ("<script>a</script>", "&lt;script&gt;a&lt;/script&gt;"),
        ("[a](https://x.example/?b=1&c=2)", '<a href="https://x.example/?b=1&amp;c=2">a</a>'),
        ("[a](mailto:a@b.example)", '<a href="mailto:a@b.example">a</a>'),
        ("<https://x.example>", '<a href="https://x.example">https://x.example</a>'),
        ("![a](https://x.example/i.png)", '<a href="https://x.example/i.png">a</a>'),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_markdown_becomes_markup(note: str, body: str) -> None:
    """HTML stays text, images are links, and one paragraph stands in a sentence."""
    assert html(note) == body


@each(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "&#106;avascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//x.example",
        "/a",
        "#a",
        "tel:1",
    ],
)
def test_links_lead_to_http_https_and_mailto_only(address: str) -> None:
    """Every other stays text."""
    for note in (
        f"[a]({address})",
        f"![a]({address})",
        f"<{address}>",
        f"[a][1]\n\n[1]: {address}",
    ):
        assert "href" not in html(note).replace("[a", "")


@QUICK
@drawn(
    st.text(
        st.sampled_from("[]()<>!*_`~#&;:/\"'= \nabjx{}%\x02\x03") | st.characters(codec="utf-8")
    )
)
@example('[a](https://x"onmouseover=alert(1))')
@example("![a](https://x 'b\"c')")
def test_no_value_becomes_more_than_markdown(note: str) -> None:
    """Whatever the text: no element, attribute or scheme but those of Markdown."""
    page = Page(html(note, "<div>{{ note }}</div>"))
    assert page.elements <= {
        *("div", "p", "em", "strong", "s", "code", "pre", "br", "a", "ul", "ol", "li", "hr"),
        *("blockquote", "h1", "h2", "h3", "h4", "h5", "h6"),
    }
    assert {name for name, _ in page.attributes} <= {"href", "title", "start", "class"}
    for name, value in page.attributes:
        if name == "href":
            assert (value or "").lower().startswith(("http://", "https://", "mailto:"))


def test_it_is_off_unless_declared() -> None:
    """Other variables are escaped, whatever they hold."""
    answer = parts("{{ note }} {{ other }}", note="*a*", other="*a* <b>")
    assert answer["body"] == "<em>a</em> *a* &lt;b&gt;"
    body = rendered_body(ENGINE, ENGINE.prepare(source_of("{{ note }}")), given({"note": "*a*"}))
    assert body == "*a*"


def test_text_outputs_have_what_a_reader_would_see() -> None:
    """The text part, a text message, and a subject."""
    note = "# T\n\nHi **you**, [shop](https://x.example)\nbye\n\n1. a\n2. b"
    expected = "T\n\nHi you, shop <https://x.example>\nbye\n\n1. a\n2. b"
    assert parts("<div>{{ note }}</div>", note=note)["text"] == expected
    assert parts("{{ note }}", "sms", note=note)["body"] == expected
    assert parts('{"a": "{{ note }}"}', "json", note=note)["document"] == {"a": expected}
    text = source_of("x", "email", "For {{ note }}")
    text["markdown"], text["text"], text["preheader"] = ["note"], "Own: {{ note }}", "P {{ note }}"
    answer = ENGINE.render(ENGINE.prepare(text), given({"note": "*a*\n\nb"}))
    assert (answer["subject"], answer["text"]) == ("For a b", "Own: a\n\nb")
    assert answer["preheader"] == "P a b"


def test_values_in_objects_and_arrays_may_be_markdown() -> None:
    """Declared by their paths; what is no text, or not there, stays as it is."""
    text = source_of("{% for i in items %}{{ i.note }};{% endfor %}{{ user.bio }}{{ user.n }}")
    text["markdown"] = ["items[].note", "user.bio", "absent.a"]
    values = {"items": [{"note": "*a*"}, {"note": 1}], "user": {"bio": "**b**", "n": "*c*"}}
    ready = ENGINE.prepare(text)
    assert rendered_body(ENGINE, ready, given(values)) == "<em>a</em>;1;<strong>b</strong>*c*"
    assert values["user"] == {"bio": "**b**", "n": "*c*"}, "the values themselves stay"


@each(
    "source",
    [
        '<p title="{{ note }}">a</p>',
        "<a href='https://x.example/{{ note }}'>a</a>",
        "{% set a = note %}<p title='{{ a }}'>a</p>",
        "<style>{{ note }}</style>",
        "<title>{{ note }}</title>",
        "<textarea>{{ note }}</textarea>",
        "<!-- {{ note }} -->",
    ],
)
def test_markup_stands_in_the_text_of_a_page_only(source: str) -> None:
    """However the value came there; a publish refuses it."""
    with pytest.raises(SourceError) as caught:
        parts(source, note="*a*")
    assert caught.value.code is Code.TEMPLATE_SYNTAX
    assert [problem["type"] for problem in tried(source)] == ["markdown_position"]


@each(
    "filter_", ["upper", "lower", "title", "capitalize", "urlencode", "tojson", "first", "reverse"]
)
def test_filters_that_would_break_the_markup_are_refused(filter_: str) -> None:
    """At the publish, with what to do."""
    problems = tried(f"<p>{{{{ note | {filter_} }}}}</p>")
    assert problems or html("abc", f"<p>{{{{ note | {filter_} }}}}</p>")
    if filter_ not in {"first", "reverse"}:
        assert [problem["type"] for problem in problems] == ["markdown_filter"]


@each(
    "source",
    [
        *("{{ note | length }}", "{% if note | length > 3 %}x{% endif %}", "{{ note[:2] }}"),
        *("{{ note[0] }}", "{{ note | truncate(length=5) }}", "{{ note.upper() }}"),
        *("{% for c in note %}{{ c }}{% endfor %}", "{{ 'a' | replace('a', note) }}"),
        *("{% set n = note %}{{ n | length }}", "{{ (note | default('x')) | length }}"),
        "{% macro f(x) %}{{ x | length }}{% endmacro %}{{ f(note) }}",
        *("{% if note == 'x' %}a{% endif %}", "{% if 'a' in note %}a{% endif %}"),
    ],
)
def test_a_markdown_value_is_neither_measured_nor_cut_nor_compared(source: str) -> None:
    """It stands in the page as markup: 4021 characters, none of them those of the value."""
    assert [problem["type"] for problem in tried(f"<p>{source}</p>")] == ["markdown_filter"]


@each(
    ("source", "body"),
    [
        ("{{ note | default('x') }}", "<em>a</em>"),
        ("{% if note %}{{ note }}{% endif %}", "<em>a</em>"),
        ("{{ note ~ '!' }}", "<em>a</em>!"),
        ("{% set b = note %}{{ b }}", "<em>a</em>"),
        ("{{ note | trim }}", "<em>a</em>"),
        ("{{ note | escape }}", "<em>a</em>"),
        ("{{ [note, note] | join(', ') }}", "<em>a</em>, <em>a</em>"),
    ],
)
def test_what_leaves_the_text_whole_is_allowed(source: str, body: str) -> None:
    """Defaults, conditions, other names."""
    assert html("*a*", source) == body
    assert tried(source) == []


def test_an_empty_value_is_false() -> None:
    """As an empty text is."""
    assert html(" ", "{% if note %}a{% else %}b{% endif %}") == "b"
