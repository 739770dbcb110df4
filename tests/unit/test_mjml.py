"""MJML: the engine's tags survive, and problems stand where the author wrote them."""

from contextlib import suppress

import mrml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rendering.explain import SourceError
from tasks.rendering.mjml import DEPTH, compiled
from tasks.rendering.places import source_place
from tasks.rendering.tags import tags
from tests.support.cases import each

PAGE = "<mjml>\n<mj-body>\n<mj-section><mj-column>\n{}\n</mj-column></mj-section></mj-body></mjml>"


def page(inside: str) -> str:
    """Return an e-mail with elements in its one column, on line 4."""
    return PAGE.format(inside)


@each(
    "inside",
    [
        "<mj-text>Dear {{ name }}</mj-text>",
        '<mj-text color="{{ colour }}">a</mj-text>',
        '<mj-text align="{% if a %}left{% else %}right{% endif %}">a</mj-text>',
        '<mj-button href="https://shop.example/{{ id }}?a=1&amp;b={{ b }}">Go</mj-button>',
        "{% for item in items %}<mj-text>{{ item }}</mj-text>{% endfor %}",
        "<mj-raw>{% if a %}</mj-raw><mj-text>a</mj-text><mj-raw>{% endif %}</mj-raw>",
        "<mj-table><tr>{% for c in cells %}<td>{{ c }}</td>{% endfor %}</tr></mj-table>",
        '<mj-text>{{ "</mj-text>" }} {{ \'"\' }} {{ a["<b>"] }}</mj-text>',
        "<mj-text>{% raw %}{{ as_it_is }}{% endraw %}</mj-text>",
        "{% include 'footer' %}",
        "<mj-text>tsmjml0z {{ a }}</mj-text>",
        '<mj-image src="{{ logo }}" alt="{{ name }}" />',
    ],
)
def test_tags_of_the_engine_survive_as_they_were_written(inside: str) -> None:
    """In texts, in values of attributes, and between elements."""
    source = page(inside)
    made = compiled(source, "body")
    written = [source[tag.start : tag.end] for tag in tags(source)]
    kept = {made.html[start:end] for start, end, _ in made.spans}
    assert kept == set(written)
    assert "<mj" not in made.html
    for start, end, place in made.spans:
        assert source.startswith(made.html[start:end], place)


@each("space", ["\n", "\r\n", "\t", " ", "\n\t", " \n", "\r"])
def test_whitespace_separates_words_and_no_elements(space: str) -> None:
    """Whatever an editor indents with and ends lines with; words of a text are not joined."""
    source = (
        '<mjml> <mj-head> <mj-style> a{} </mj-style> <!-- a --> <mj-attributes> <mj-all padding="0"'
        " /> </mj-attributes> </mj-head> <mj-body> <mj-section> <mj-column> <mj-navbar>"
        ' <mj-navbar-link href="/"> b </mj-navbar-link> </mj-navbar> <mj-text> <b>{{ a }}</b>'
        " <i>c</i> {{ d }} </mj-text> </mj-column> </mj-section> </mj-body> </mjml>"
    ).replace(" ", space)
    made = compiled(source, "body")
    assert f"<b>{{{{{space}a{space}}}}}</b>{space}<i>c</i>{space}{{{{" in made.html
    for start, end, place in made.spans:
        assert source.startswith(made.html[start:end], place)


@each("start", ["\ufeff", '<?xml version="1.0"?>\n', "<!DOCTYPE mjml>\r\n", " <!-- a -->\n", "\t"])
def test_what_pages_begin_with_may_stand_before_the_root(start: str) -> None:
    """The places in the source are still right."""
    made = compiled(start + page("<mj-text>{{ name }}</mj-text>"), "body")
    ((begin, end, place),) = made.spans
    assert made.html[begin:end] == "{{ name }}"
    assert (start + page("<mj-text>{{ name }}</mj-text>")).startswith("{{ name }}", place)
    with pytest.raises(SourceError) as caught:
        compiled(start + page("<mj-txt>a</mj-txt>"), "body")
    assert caught.value.problem["line"] == 4 + start.count("\n")


def test_comments_of_the_engine_are_left_out() -> None:
    """They are for authors; the source that is stored has them."""
    assert "secret" not in compiled(page("{# secret #}<mj-text>a</mj-text>"), "body").html


@each(
    ("inside", "message", "line", "column"),
    [
        ("<mj-text>a</mj-column>", "open element is <mj-text>", 4, 11),
        ("<mj-text>a", "open element is <mj-text>", 5, 1),
        ("<mj-txt>a</mj-txt>", "<mj-txt> is not an element", 4, 1),
        ("<mj-text>a < b</mj-text>", "&lt;", 4, 12),
        ("<mj-text><b a=></b></mj-text>", 'an attribute of <b> is written name="value"', 4, 10),
        ("<mj-raw><table><tr></mj-raw>", "<tr> is not closed here", 4, 16),
        ("<mj-text {% if a %}color='x'{% endif %}>a</mj-text>", "an attribute of <mj-text>", 4, 1),
        ('<mj-image src="a" width="{{ w }}" />', "no place for this", 4, 26),
        ('<mj-button title="{{ t }}">é💛</mj-button>', "no place for this", 4, 19),
        ("é💛<mj-social>{% if a %}x{% endif %}</mj-social>", "cannot be between", 4, 14),
        ("<!--[if mso]>a<![endif]-->", "conditional comments belong in <mj-raw>", 4, 1),
        ("<mj-include path='/etc/passwd' />", "mj-include is not available", 4, 2),
        ("<mj-wrapper>" * DEPTH, f"more than {DEPTH} deep", 4, 12 * (DEPTH - 4) + 1),
    ],
)
def test_problems_have_a_place_in_the_source(
    inside: str, message: str, line: int, column: int
) -> None:
    """In characters, whatever the library counts, and past the engine's tags."""
    with pytest.raises(SourceError) as caught:
        compiled(page(inside), "body")
    problem = caught.value.problem
    assert (problem["type"], problem["path"]) == ("mjml", "body")
    assert message in problem["message"]
    assert (problem["line"], problem["column"]) == (line, column)


@each(
    "source", ["hello", "{% extends 'layout' %}<mjml></mjml>", "<div></div>", "<mj-body></mj-body>"]
)
def test_a_source_begins_with_mjml(source: str) -> None:
    """The library says only that it cannot read it."""
    with pytest.raises(SourceError, match="MJML begins with <mjml>"):
        compiled(source, "body")


def test_nothing_is_loaded_from_other_hosts() -> None:
    """The library would link the default font from Google."""
    html = compiled(page("<mj-text>a</mj-text>"), "body").html
    assert "fonts.googleapis.com" not in html
    assert "fonts.googleapis.com" in mrml.to_html(page("<mj-text>a</mj-text>")).content


@given(
    st.lists(st.sampled_from(["<mj-text>", "</mj-text>", "{{ a }}", "{% if b %}", "<", '"', "é"]))
)
def test_any_source_is_compiled_or_refused(pieces: list[str]) -> None:
    """No source ends in another error, and each place of the HTML leads to one of the source."""
    source = page("".join(pieces))
    with suppress(SourceError):
        made = compiled(source, "body")
        places = {source_place(made.spans, start) for start, _, _ in made.spans}
        assert places == {place for _, _, place in made.spans}
