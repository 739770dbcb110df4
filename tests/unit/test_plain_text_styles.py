"""The plain-text alternative: what styles, omitted end tags and raised digits make of a text."""

from tasks.rendering.engine import Engine
from tasks.rendering.limits import Limits
from tasks.rendering.plain_text import is_certain, text_of, text_source
from tasks.rendering.texts import PartialText, Sources
from tasks.rendering.texts import text_of as text_for
from tests.support.cases import each

ENGINE = Engine(Limits())


@each(
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


@each(
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
        ("[class='c']{display:none}", ["z"]),
        ("b[class~=d]{display:none}", ["x", "y"]),
        ("[class^=b] > i, [class$='D' i]{display:none}", []),
        ("[id*=o] .c{display:none}", ["y", "z"]),
        (".a + div .c{display:none}", ["x", "z"]),
        (".a ~ p b{display:none}", ["x", "y"]),
        (".a + p b{display:none}", ["x", "y", "z"]),
        (".c{display:none!important}.d{display:block}", []),
        (".c{display:block!important}.c.d{display:none}", ["x", "y", "z"]),
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
    sheet, _, elements = page.partition("</style>")
    assert text_of(f"{elements}{sheet}</style>").split() == shown


def test_a_rule_of_one_branch_hides_nothing_of_another() -> None:
    """Only one of the two elements is there, and text is rather shown than lost."""
    source = text_source(
        "<style>.a .c{display:none}</style>"
        "{% if x %}<div class='a'>{% else %}<div class='b'>{% endif %}<i class='c'>shown</i></div>"
    )
    assert "shown" in source


@each(
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


@each(
    ("html", "text"),
    [
        ("10<sup>2</sup> m<sup> 2 </sup>", "10² m²"),
        ("H<sub>2</sub>O, x<sup>&minus;1</sup>", "H₂O, x⁻¹"),
        ("see<sup>(1)</sup>", "see⁽¹⁾"),
        ("1<sup>st</sup>, Shop<sup>&reg;</sup>", "1st, Shop®"),
        ("<div hidden>1<sup>2</sup></div>3", "3"),
        ("x<sup>n+1</sup>, x<sup>2k</sup>, a<sub>i</sub>", "xⁿ⁺¹, x²ᵏ, aᵢ"),
        ("e<sup>-2a</sup>, word<sup>1,2</sup>, a<sub>1,2</sub>", "e^(-2a), word^(1,2), a_(1,2)"),
        ("M<sup>me</sup> 2<sup>nd</sup> 1<sup>er</sup> a<sup>TM</sup>", "Mme 2nd 1er aTM"),
        ("x<i style='vertical-align:super;font-size:8px'>2</i>", "x²"),
        ("<style>.low{vertical-align:sub}</style>H<i class=low>2</i>O", "H₂O"),
        ("<table><td style='vertical-align:super'>5</td></table>", "5"),
        ("1<sup style='vertical-align:baseline'>2</sup>", "12"),
    ],
)
def test_raised_digits_do_not_become_part_of_a_number(html: str, text: str) -> None:
    """10² is not 102; letters stay as they are."""
    assert text_of(html) == text


def test_a_raised_placeholder_or_link_is_marked() -> None:
    """It may have digits."""
    assert text_source("10<sup>{{ n }}</sup>") == "10^{{ n }}"
    assert text_of("word<sup><a href='#one'>1</a></sup>") == "word^1"
    assert text_source("x<sup>-{{ n }}</sup>") == "x^(-{{ n }})"


def test_an_important_rule_counts_more_than_an_attribute() -> None:
    """Unless that is important too."""
    rule = "<style>.c{display:none!important}</style>"
    assert text_of(f"{rule}<p class=c style='display:block'>a</p>b") == "b"
    assert text_of(f"{rule}<p class=c style='display:block !important'>a</p>b") == "a\n\nb"


def text_part(body: str, values: str = "{}", **partials: str) -> str:
    """Return the text part of a mail."""
    used = {name: PartialText(language="en", body=source) for name, source in partials.items()}
    ready = ENGINE.prepare(text_for("email", "en", Sources(None, body), used))
    text = ENGINE.render(ready, ENGINE.values(ready, values.encode()))["text"]
    assert isinstance(text, str)
    return text


@each(
    ("html", "hides", "shows"),
    [
        ("<p style='display:{{ n }}'>a</p>b", '"none"', '"block"'),
        ("<p style='font-size:{{ n }}px'>a</p>b", "0", "12"),
        ("<p style='height:{{ n }}px;overflow:hidden'>a</p>b", "0", "12"),
        ("<p style='{% if n %}display:none{% endif %}'>a</p>b", "1", "0"),
        ("<p style='display:{% if n %}none{% else %}block{% endif %}'>a</p>b", "1", "0"),
        ("<p {% if n %}style='display:none'{% endif %}>a</p>b", "1", "0"),
        ("<p{% if n %} hidden{% endif %}>a</p>b", "1", "0"),
        ("{% if n %}<p hidden>{% else %}<p>{% endif %}a</p>b", "1", "0"),
        ("<style>.b{display:{{ n }}}</style><p class=b>a</p>b", '"none"', '"block"'),
        ("<style>{% if n %}.b{display:none}{% endif %}</style><p class=b>a</p>b", "1", "0"),
        ("{% if n %}<style>.b{display:none}</style>{% endif %}<p class=b>a</p>b", "1", "0"),
        ("<style>.b{display:none}</style><p class='x{% if n %} b{% endif %}'>a</p>b", "1", "0"),
        ("<style>.b-no{display:none}</style><p class='b-{{ n }}'>a</p>b", '"no"', '"yes"'),
        ("<style>[id=x] p{display:none}</style><div id='{{ n }}'><p>a</p></div>b", '"x"', '"y"'),
        (
            "<style>.x + p{display:none}</style>{% if n %}<i class=x></i>{% endif %}<p>a</p>b",
            "1",
            "0",
        ),
    ],
)
def test_what_a_value_or_a_condition_hides_is_hidden_in_the_text(
    html: str, hides: str, shows: str
) -> None:
    """In the renders that hide it, and in no other."""
    assert text_part(html, f'{{"n": {hides}}}') == "b"
    assert text_part(html, f'{{"n": {shows}}}') in {"a\n\nb", "a\nb"}


def test_the_rules_of_a_layout_hide_what_stands_in_its_pages_and_macros() -> None:
    """The style sheet stands in one source, the element in another."""
    sheet = "<style>.pre{display:none}</style>"
    layout = f"{sheet}{{% block page %}}{{% endblock %}}"
    page = "{% extends 'layout' %}{% block page %}<p class='pre'>a</p>b{% endblock %}"
    assert text_part(page, layout=layout) == "b"
    assert text_part(f"{sheet}{{% include 'part' %}}b", part="<p class='pre'>a</p>") == "b"
    macro = "{% macro m() %}<p class='pre'>a</p>{% endmacro %}{{ m() }}b"
    assert text_part(sheet + macro) == "b"


@each(
    "html",
    [
        "<p style='color:{{ c }};font-size:12px;width:{{ w }}%'>a</p>",
        "<p style='display:none;color:{% if c %}red{% else %}blue{% endif %}'>a</p>",
        "<style>.pre{display:none}p{color:{{ c }}}</style><p class='x-{{ c }}'>a</p>",
        "<style>.pre{display:none}</style><p class='{% if c %}big{% endif %}' {{ c }}=x>a</p>",
        "<style>p{font-size:12px}</style>{% if c %}<p>a{% endif %}<p>b",
        "{% if c %}<p hidden>a</p>{% endif %}b",
    ],
)
def test_a_text_is_derived_once_where_values_hide_nothing(html: str) -> None:
    """To read each finished page takes longer."""
    assert is_certain([html])
