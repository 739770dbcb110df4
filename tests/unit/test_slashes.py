"""Slashes of values in HTML: readers, click trackers and gateways get them as they are."""

from html import unescape
from html.parser import HTMLParser

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tests.support.cases import each
from tests.support.sources import body_of, source_of

ENGINE = Engine(Limits())
URL = "https://example.org/a/?b=c&d='e'"
ESCAPED = "https://example.org/a/?b=c&amp;d=&#x27;e&#x27;"


class _Reader(HTMLParser):
    """Collects the address and the text of a link."""

    def __init__(self) -> None:
        super().__init__()
        self.link: str | None = None
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.link = dict(attrs)["href"] if tag == "a" else None

    def handle_data(self, data: str) -> None:
        self.text += data


@each(
    "source",
    [
        '<a href="{{ url }}">',
        "<a href='{{ url }}'>",
        "<p>{{ url }}</p>",
        "{{ url | e }}",
        "{{ url | escape }}",
        "{{ [url] | join }}",
        "{{ [url] | join('/') }}",
        "{{ [url] | list }}",
        "{{ url | replace('//', '//') }}",
        "{% set link %}{{ url }}{% endset %}{{ link }}",
        "{% macro link(a) %}{{ a }}{% endmacro %}{{ link(url) }}",
        "{% filter trim %} {{ url }} {% endfilter %}",
        "{{ '/' if not url else url }}",
        "{% include 'part' %}",
        "{% extends 'layout' %}{% block body %}{{ url }}{% endblock %}",
    ],
)
def test_a_slash_is_written_as_it_is(source: str) -> None:
    """In text and attributes, by filters, and through what a template captures."""
    partials = {"part": "{{ url }}", "layout": "{% block body %}{% endblock %}"}
    page = body_of(ENGINE, source_of(source, partials=partials), {"url": URL})
    assert ESCAPED in page
    assert "x2f" not in page


def test_other_characters_are_still_escaped() -> None:
    """No value ends an attribute or an element."""
    value = "</p>\"'&#x2f;&"
    page = body_of(ENGINE, source_of("<p a=\"{{ x }}\" b='{{ x }}'>{{ x }}"), {"x": value})
    escaped = "&lt;/p&gt;&quot;&#x27;&amp;#x2f;&amp;"
    assert page == f"<p a=\"{escaped}\" b='{escaped}'>{escaped}"


def test_the_references_of_an_author_stay() -> None:
    """They are no slashes, whatever the values have; that of the engine in upper case."""
    source = '<script>escapes = {"/": "&#x2f;"}</script>&#x2F;&#47;{{ url }}'
    page = body_of(ENGINE, source_of(source), {"url": URL})
    assert page == source.replace("&#x2f;", "&#x2F;").replace("{{ url }}", ESCAPED)
    literal = body_of(ENGINE, source_of("{{ '&#x2f;' }}{% raw %}&#x2f;{% endraw %}"), {})
    assert literal == "&amp;#x2f;&#x2F;"
    own = "<a href='javascript:&#x2f;'>{{ url }}</a>"
    assert "javascript:&#x2F;" in body_of(ENGINE, source_of(own), {"url": URL})


def test_an_address_in_a_style_keeps_what_looks_like_a_reference() -> None:
    """A style reads no references."""
    source = source_of("<style>p{background:url({{ url }})}</style>")
    page = body_of(ENGINE, source, {"url": "https://example.org/?a&#x2f;b"})
    assert page == "<style>p{background:url(https://example.org/?a%26#x2f;b)}</style>"


@given(st.text(st.sampled_from("/&#x2fF;\x1f<>\"'a"), max_size=20), st.booleans())
@example("\x1f#x2f;", True)  # noqa: FBT003 - drawn
@settings(max_examples=150, deadline=None)
def test_every_value_is_read_back(value: str, own: bool) -> None:  # noqa: FBT001 - drawn
    """A browser reads in an attribute and in text what the producer sent."""
    literal = "&#x2f;" if own else ""
    source = f"<a href='{{{{ x }}}}'>{literal}{{{{ x }}}}</a>"
    page = body_of(ENGINE, source_of(source), {"x": value})
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.link == value
    assert reader.text == f"{unescape(literal)}{value}"
