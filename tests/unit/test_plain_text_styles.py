"""The plain-text alternative: what styles, omitted end tags and raised digits make of a text."""

import pytest

from tasks.rendering.plain_text import text_of, text_source


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<p>Was <span style="text-decoration:line-through">10 €</span> now 9 €', "~~10 €~~"),
        ("<style>.was{text-decoration: red line-through}</style><b class=was>10 €</b>", "~~10 €~~"),
        ('<i style="text-decoration-line: underline line-through">10 €</i>', "~~10 €~~"),
        ('<del style="text-decoration:line-through">10 €</del>', "~~10 €~~"),
    ],
)
def test_struck_text_is_marked_whatever_strikes_it(html: str, text: str) -> None:
    """By an element, an attribute or a rule; once."""
    assert text in text_of(html)
    assert text_of(html).count("~~") == 2


@pytest.mark.parametrize(
    ("css", "shown"),
    [
        (".a .c{display:none}", ["y", "z"]),
        (".a > .c{display:none}", ["x", "y", "z"]),
        (".a > .b > i.c { display: none }", ["y", "z"]),
        ("div i{display:none}", ["z"]),
        ("#top .c, .d{font-size:0}", ["y"]),
        (".b.big .c{display:none}", ["y", "z"]),
        (".big .none .c{display:none}", ["x", "y", "z"]),
        (".c{display:none} div .c{display:inline}", ["x", "y"]),
        ("div .c{display:inline} .c{display:none}", ["x", "y"]),
        (".a *{display:none}", ["y", "z"]),
        (".a:hover .c, .c[title]{display:none}", ["x", "y", "z"]),
    ],
)
def test_rules_hide_what_their_selectors_select(css: str, shown: list[str]) -> None:
    """With ancestors, parents, several classes, and the more specific rule before the other."""
    page = (
        f"<style>{css}</style>"
        '<div class="a" id="top"><p class="b big"><i class="c">x</i></p></div>'
        '<div><p class="b"><i class="c">y</i></p></div><p><b class="c d">z</b></p>'
    )
    assert text_of(page).split() == shown


def test_a_rule_of_one_branch_hides_nothing_of_another() -> None:
    """Only one of the two elements is there, and text is rather shown than lost."""
    source = text_source(
        "<style>.a .c{display:none}</style>"
        "{% if x %}<div class='a'>{% else %}<div class='b'>{% endif %}<i class='c'>shown</i></div>"
    )
    assert "shown" in source


@pytest.mark.parametrize(
    "html",
    [
        "<div><p hidden>a<p>shown</div>",
        "<div><p hidden>a</div>shown",
        "<p hidden>a<table><tr><td>shown</table>",
        "<ul><li hidden>a<li>shown</ul>",
        "<ul><li hidden>a<ul><li>x</li></ul>y</li><li>shown</ul>",
        "<table><tr><td hidden>a<td>shown</table>",
        "<table><tr hidden><td>a<tr><td>shown</table>",
        "<table><tr><td hidden><table><tr><td>x</table>y<td>shown</table>",
        "<dl><dt hidden>a<dd>shown</dl>",
        "<table><tr><td hidden>a</table>shown",
    ],
)
def test_a_hidden_element_without_an_end_tag_ends_where_a_browser_ends_it(html: str) -> None:
    """What follows is shown, and nothing of the element itself."""
    assert text_of(html).strip("- ") == "shown"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("10<sup>2</sup> m<sup> 2 </sup>", "10² m²"),
        ("H<sub>2</sub>O, x<sup>&minus;1</sup>", "H₂O, x⁻¹"),
        ("see<sup>(1)</sup>", "see⁽¹⁾"),
        ("1<sup>st</sup>, Shop<sup>&reg;</sup>", "1st, Shop®"),
        ("<div hidden>1<sup>2</sup></div>3", "3"),
    ],
)
def test_raised_digits_do_not_become_part_of_a_number(html: str, text: str) -> None:
    """10² is not 102; letters stay as they are."""
    assert text_of(html) == text


def test_a_raised_placeholder_or_link_is_marked() -> None:
    """It may have digits."""
    assert text_source("10<sup>{{ n }}</sup>") == "10^{{ n }}"
    assert text_of("word<sup><a href='#one'>1</a></sup>") == "word^1"
