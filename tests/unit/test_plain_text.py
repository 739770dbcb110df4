"""The plain-text alternative: what it shows of HTML, derived before a render or after it."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from minijinja import Environment

from tasks.rendering.engine import Engine
from tasks.rendering.frames import encode
from tasks.rendering.limits import Limits
from tasks.rendering.plain_text import finished, text_of, text_source
from tasks.rendering.plain_text.marks import without_escaped_marks
from tasks.rendering.tags import COMMENT_START, prepared
from tests.support.alarm import LONG, soon
from tests.support.cases import each
from tests.support.sources import body_of, source_of

QUICK = settings(max_examples=80, deadline=None)

PARTIALS = {
    "footer": '<p>Bye, {{ name }}. <a href="{{ url }}">Leave</a></p>',
    "styles": "<style>a { color: red }</style><title>No</title>",
    "buttons": (
        '{% macro button(to, label) %}<a href="{{ to }}" class="b">{{ label }}</a>{% endmacro %}'
        "{% macro box() %}<div>{{ caller() }}</div>{% endmacro %}"
    ),
    "base": (
        "<html><head><style>{% block css %}p { color: red }{% endblock %}</style>"
        "{% block head %}<title>T</title>{% endblock %}</head>"
        "<body><h1>{% block heading %}Base{% endblock %}</h1>"
        '<table><tr><td class="{% block class %}c{% endblock %}">{% block body %}{% endblock %}'
        "</td></tr></table></body></html>"
    ),
}
VALUES: dict[str, Any] = {
    "name": "Jane <b>O'Hara</b> & Co {{ x }} {% if %}",
    "url": "https://example.org/?a=1&b=2#c",
    "empty": "",
    "yes": True,
    "no": False,
    "items": ["one", "two  \n three", ""],
    "mail": "mailto:help@example.org",
}


def _environment(*, escapes: bool) -> Environment:
    def load(name: str) -> str:
        return prepared(PARTIALS[name]) if escapes else text_source(PARTIALS[name])

    return Environment(
        loader=load,
        undefined_behavior="strict",
        auto_escape_callback=lambda _name: escapes,
        comment_start_string=COMMENT_START,
        keep_trailing_newline=True,
    )


HTML = _environment(escapes=True)
TEXT = _environment(escapes=False)


def _before(template: str, values: Mapping[str, Any]) -> str:
    """Return the text derived from the template and then rendered."""
    given = json.loads(without_escaped_marks(encode(values)))
    return finished(TEXT.render_str(text_source(template), **given))


def _after(template: str, values: Mapping[str, Any]) -> str:
    """Return the text derived from the rendered page."""
    return text_of(HTML.render_str(prepared(template), **values))


def _text(template: str) -> str:
    """Return the text of a template, which is the same on both ways."""
    text = _before(template, VALUES)
    assert text == _after(template, VALUES)
    return text


@each(
    ("html", "text"),
    [
        ("", ""),
        (" \n ", ""),
        ("<p></p>", ""),
        ("plain", "plain"),
        ("a\n\t  b&nbsp;&nbsp;c\u00a0d", "a b c d"),
        ("&lt;b&gt; &amp;amp; &euro;&#8364;&#x20AC; &copy;", "<b> &amp; €€€ ©"),
        ("a < b, 1<2, <3 and </3>!", "a < b, 1<2, <3 and !"),
        ("x<b>y</b>z <i>i</i>", "xyz i"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<p>a<p>b", "a\n\nb"),
        ("<P CLASS=x>a</P\n>b", "a\n\nb"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<div><div><div>a</div></div></div>\n<div>b</div>", "a\nb"),
        ("<h1>T</h1>a<h6>U</h6>b", "T\n\na\n\nU\n\nb"),
        ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
        ("a<br><br>b", "a\n\nb"),
        ("a<br> <br>\n<br><br>b", "a\n\nb"),
        ("<div>a<br></div><div>b</div>", "a\nb"),
        ("<div>a</div><br><div>b</div>", "a\n\nb"),
        ("<br>a<br>", "a"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ("<blockquote>q</blockquote>r", "> q\n\nr"),
        ("<dl><dt>t</dt><dd>d</dd></dl>", "t\nd"),
        ("<pre>a</pre>b", "a\n\nb"),
        ("a<section>b</section><footer>c</footer><center>d</center>", "a\nb\nc\nd"),
        ("<form><button>Go</button></form><textarea>a <b> &amp;</textarea>", "Go\na <b> &"),
    ],
)
def test_elements_become_lines_and_paragraphs(html: str, text: str) -> None:
    """Whitespace is one space, blocks are lines, paragraphs have an empty line between them."""
    assert _text(html) == text


@each(
    ("html", "text"),
    [
        ("a<ul><li>b</li><li>c</li></ul>d", "a\n\n- b\n- c\n\nd"),
        ("<ol>\n<li>b\n<li>c\n</ol>", "1. b\n2. c"),
        ("<ul><li><p>b</p></li><li><div>c</div></li></ul>", "- b\n\n- c"),
        (
            "<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul>e",
            "- a\n  - b\n  - c\n- d\n\ne",
        ),
        ("<ul><li></li><li>b</li></ul><p>c</p>", "- b\n\nc"),
        ("<ul><li>b</li><li></li></ul><p>c</p>", "- b\n\nc"),
        ("<ul><li><ul><li>b</li></ul></li></ul>", "- - b"),
        ("<ul>{% for i in items %}<li>{{ i }}</li>{% endfor %}</ul>c", "- one\n- two three\n\nc"),
    ],
)
def test_list_items_have_a_dash(html: str, text: str) -> None:
    """One line each, nested lists without empty lines, and no dash before nothing."""
    assert _text(html) == text


@each(
    ("html", "text"),
    [
        ("<ol start=3><li>a</li><li>b</li></ol>", "3. a\n4. b"),
        ("<ol start='{{ items|length }}'><li>a</ol>", "3. a"),
        ("<ol><li>a</li><li value=7>b</li><li>c</li></ol>", "1. a\n7. b\n8. c"),
        ("<ol><li value='{{ items|length }}'>a</li></ol>", "3. a"),
        (
            "<ol reversed><li>a</li><li>b<ol><li>x</ol></li><li>c</li></ol>",
            "3. a\n2. b\n   1. x\n1. c",
        ),
        ("<ol reversed start=9><li>a</li><li>b</li></ol>", "9. a\n8. b"),
        ("<ol type=a><li>a</li><li>b</li></ol>", "a. a\nb. b"),
        ("<ol type=A start=26><li>a</li><li>b</li></ol>", "Z. a\nAA. b"),
        ("<ol type=i start=3><li>a</li><li>b</li></ol>", "iii. a\niv. b"),
        ("<ol type=I start=1994><li>a</li></ol>", "MCMXCIV. a"),
        ("<ol type=a start=0><li>a</li></ol>", "0. a"),
        ("<ol start=x><li>a</li></ol>", "1. a"),
        ("<ol start=-1><li>a</li><li>b</li></ol>", "-1. a\n0. b"),
        ("<ol {% if no %}reversed{% endif %}><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<ol style='list-style-type: upper-roman'><li>a</li></ol>", "I. a"),
        ("<ul style='list-style:none;padding:0'><li>a</li><li>b</li></ul>", "a\nb"),
        (
            "<ol>{% for i in items %}<li>{{ i }}x</li>{% endfor %}</ol>",
            "1. onex\n2. two threex\n3. x",
        ),
        ("<ol><li></li><li>b</li></ol>", "2. b"),
        ("<ol><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ol>", "1. a\n   - b\n     1. c\n2. d"),
        ("<ol><li>a<br>b<li><p>c</p><p>d</p></ol>e", "1. a\n   b\n2. c\n\n   d\n\ne"),
        ("<ul><li>a</li><ul><li>b</li></ul></ul>", "- a\n  - b"),
        ("<li>a</li><li>b</li>", "- a\n- b"),
        ("<ul><li><blockquote>q</blockquote></li></ul>", "- > q"),
    ],
)
def test_lists_are_numbered_and_nested(html: str, text: str) -> None:
    """As a browser numbers them; what is in an item is indented."""
    assert _text(html) == text


@each(
    ("html", "text"),
    [
        ("<blockquote>a<br>b</blockquote>c", "> a\n> b\n\nc"),
        ("a<blockquote><p>b</p><p>c</p></blockquote>d", "a\n\n> b\n>\n> c\n\nd"),
        ("<blockquote>a<blockquote>b</blockquote>c</blockquote>", "> a\n>\n> > b\n>\n> c"),
        ("<blockquote><ol><li>a<li>b</ol></blockquote>", "> 1. a\n> 2. b"),
        ("<blockquote>{{ items[1] }}</blockquote>", "> two three"),
        ("<blockquote></blockquote>a", "a"),
        ("<q>a</q>", '"a"'),
        ("<p>a</blockquote>b", "a\n\nb"),
    ],
)
def test_quotes_are_marked_in_each_line(html: str, text: str) -> None:
    """By ``> ``, in quotes of quotes twice."""
    assert _text(html) == text


@each(
    ("html", "text"),
    [
        ("<pre>a\n  b\n\n\nc</pre>d", "a\n  b\n\n\nc\n\nd"),
        ("<pre>\na</pre>", "a"),
        ("x<pre>a\tb\r\nc &lt;{{ 1 }}&gt;</pre>y", "x\n\na       b\nc <1>\n\ny"),
        ("<pre><code>a\n  b\n</code></pre>", "a\n  b"),
        ("<pre>{{ items[1] }}</pre>", "two  \n three"),
        ("<p style='white-space: pre-line'>{{ items[1] }}</p>b  c", "two  \n three\n\nb c"),
        ("<div style='white-space:nowrap'>a\n b</div>", "a b"),
        ("<ul><li><pre>a\nb</pre></li></ul>", "- a\n  b"),
        ("<blockquote><pre>a\n\nb</pre></blockquote>", "> a\n>\n> b"),
        ("a</pre>  b", "a\n\nb"),
    ],
)
def test_preformatted_text_keeps_its_lines(html: str, text: str) -> None:
    """Those of values too, with their indentation."""
    assert _text(html) == text


@each(
    ("html", "text"),
    [
        ("<del>20 €</del> 15 €", "~~20 €~~ 15 €"),
        ("<del>20</del><ins>15</ins>", "~~20~~ 15"),
        ("<s> {{ items[0] }} </s>x", " ~~one~~ x".strip()),
        ("<strike>a</strike><strike>b</strike>", "~~a~~ ~~b~~"),
        ("<s></s>a", "a"),
        ("<s>a</s><a href='https://x.example'>b</a>", "~~a~~ b <https://x.example>"),
        ("a</s>b", "ab"),
    ],
)
def test_what_is_struck_out_is_marked(html: str, text: str) -> None:
    """A reader of the text must not take the old price for the new one."""
    assert _text(html) == text


@each(
    "hiding",
    [
        "max-height:0",
        "MAX-HEIGHT: 0px",
        "font-size:0",
        "font-size: 0px;line-height:0",
        "font:0/0 a",
        "visibility: hidden",
        "visibility:collapse",
        "opacity:0",
        "opacity:0.0",
        "opacity: 0%",
        "mso-hide:all",
        "mso-hide: all !important",
        "height:0;overflow:hidden",
        "width:0px; overflow: hidden",
        "position:absolute;left:-9999px",
        "POSITION: fixed; top: -100vh",
        "text-indent:-9999px",
        "position:absolute;clip:rect(0, 0, 0, 0)",
        "position:absolute;clip:rect(1px 1px 1px 1px)",
        "clip-path:inset(50%)",
        "display:block;display:none",
        "display:none!important;display:block",
    ],
)
def test_hidden_preheaders_give_no_text(hiding: str) -> None:
    """Whatever it is that hides them."""
    for element in ("div", "span", "td", "p"):
        source = f'a <{element} style="{hiding}">{{{{ name }}}} b<b>c</b></{element}> d'
        assert _text(source) in {"a d", "a\n\nd", "a\nd"}
        assert "name" not in text_source(source)


@each(
    ("html", "text"),
    [
        ("<div style='font-size:0'>a<div style='font-size:13px'>b</div>c</div>d", "b\nd"),
        ("<td style='font-size:0px'><div style='font:14px Arial'><td>b</td></div>c</td>d", "b\nd"),
        ("<div style='visibility:hidden'>a<b style='visibility:visible'>b</b></div>", "b"),
        ("<div style='display:none'>a<b style='display:block'>b</b></div>c", "c"),
        ("<div style='max-height:100px;opacity:0.5;font-size:0.8em'>a</div>", "a"),
        ("<div style='height:0'>a</div>", "a"),
        ("<div style='position:absolute;left:-10px'>a</div>", "a"),
        ("<div style='left:-9999px;text-indent:-20px'>a</div>", "a"),
        ("<div style='clip:rect(0,0,0,0);clip-path:inset(5%)'>a</div>", "a"),
        ("<style>.out{position:absolute;left:-999em}</style><p class=out>a</p>b", "b"),
        ("<div style='display:none;display:block'>a</div>", "a"),
        ("<style>.pre{display:none}</style><p class='x pre'>a</p>b", "b"),
        ("<style>p.pre, #i { max-height : 0 }</style><p class=pre>a</p><p id=i>b</p>c", "c"),
        ("<style>td.pre{display:none}</style><p class=pre>a</p>", "a"),
        ("<style>.m{display:none}@media print{.n{display:none}}</style><p class=n>a</p>", "a"),
        ("<style>.m{display:none}</style><p class='{% if no %}m{% endif %}'>a</p>", "a"),
        ("<style>.m{display:none}.m{display:block}</style><p class=m>a</p>", "a"),
        ("<style>.m{display:none}</style><p class=m style='display:block'>a</p>", "a"),
    ],
)
def test_what_a_descendant_or_a_later_rule_shows_is_shown(html: str, text: str) -> None:
    """Layouts set a font size of 0 around columns, and style sheets hide by class."""
    assert _text(html) == text


@each(
    ("html", "text"),
    [
        (
            "<table><tr><th>I</th><th>Cost</th></tr><tr><td>A</td><td>1 &euro;</td></tr></table>",
            "I Cost\nA 1 €",
        ),
        (
            "a<table>{% for i in items %}<tr><td>{{ loop.index }}<td>{{ i }}{% endfor %}</table>b",
            "a\n\n1 one\n2 two three\n3\n\nb",
        ),
        (
            """<table role="presentation"><tbody><tr><td>
            <table><tr><td><h1>T</h1></td></tr></table>
            <table><tr><td>&nbsp;</td><td><p>a</p><p>b</p></td></tr></table>
            </td></tr></tbody></table>""",
            "T\n\na\n\nb",
        ),
        ("""<td {% if yes %}class="x"{% endif %} {{ 'a' }}>A</td><td>B</td>""", "A B"),
        (
            """<style>.n{display:block}</style><span class=n>20</span><b class=n>items</b>,
            <strong style="display:block">total</strong>12 <i>k</i>m""",
            "20 items , total 12 km",
        ),
        (
            '<a href="/a" style="display:block"><b style="font-size:9px">A</b></a>B',
            "A </a> B",
        ),
    ],
)
def test_rows_are_lines_and_cells_stand_apart(html: str, text: str) -> None:
    """A table of data reads line by line; one that only lays out leaves no trace."""
    assert _text(html) == text


@each(
    ("html", "text"),
    [
        ('<a href="https://x.example/">Shop</a>.', "Shop <https://x.example/>."),
        (
            '<a href="https://x.example/?a=1&amp;b=2&copy=3">S</a>',
            "S <https://x.example/?a=1&b=2&copy=3>",
        ),
        ("<a href=https://x.example/a>S</a>", "S <https://x.example/a>"),
        ("<a class='b' HREF = '{{ url }}'>S</a>", "S <https://example.org/?a=1&b=2#c>"),
        ('<a href="{{ url }}">{{ url }}</a>', "https://example.org/?a=1&b=2#c"),
        (
            '<a href="{{ url }}&amp;u={{ name|length }}"> </a>',
            "<https://example.org/?a=1&b=2#c&u=40>",
        ),
        ('<a href="{{ url }}">{{ empty }}</a>', "<https://example.org/?a=1&b=2#c>"),
        ('<a href="{{ empty }}">S</a>', "S"),
        ('<a href="#top">Top</a> <a href="">A</a> <a href>B</a> <a name="c">C</a>', "Top A B C"),
        ('<a href="#">{{ empty }}</a>', ""),
        ('<a href="#">A</a><a href="#">B</a><a href="/c">C</a>.', "A B C </c>."),
        ('<a href="javascript:void(0)">S</a>', "S"),
        ('<a href="mailto:">a@b.example</a> <a href="http://">S</a>', "a@b.example S"),
        ("<a href='https:'>S</a> <a href='tel:'><img></a>", "S"),
        ('<a href="mailto:a@b.example">a@b.example</a>', "a@b.example"),
        ('<a href="mailto:a@b.example?subject=x">write</a>', "write <a@b.example>"),
        ('<a href="https://b.example">https://b.example/</a>', "https://b.example"),
        ('<a href="MAILTO:a@b.example">Mail</a>', "Mail <a@b.example>"),
        ('<a href="{{ mail }}">Mail</a>', "Mail <help@example.org>"),
        ('<a href="tel:+49301234">+49 30 1234</a>', "+49 30 1234 <+49301234>"),
        ('<a href="mailto:a@b.example">mailto:a@b.example</a>', "a@b.example"),
        ('<a href="/a">A</a><a href="/b">B</a>', "A </a> B </b>"),
        ('<a href="/a"><table><tr><td>A</td></tr></table></a>b', "A </a>\n\nb"),
        ('<a href="/a"><img src="a.png" alt="A &amp; {{ yes }}"></a>', "A & True </a>"),
        ('<a href="/a"><img src="a.png"></a>', "</a>"),
        ('<a href="/a">A<p>b', "A\n\nb </a>"),
        ('A</a> <a href="/b" href="/c">B</a>', "A B </b>"),
        (
            "{% if no %}<a href=\"/a\">{% else %}<a href='/b'>{% endif %}B</a>",
            "B </b>",
        ),
        ('<a {% if yes %}href="/a"{% else %}href="/b"{% endif %}>A</a>', "A </a>"),
        ('<a {% if no %}href="/a" {% endif %}title="t">A</a>', "A"),
        ('<a href="{% if no %}/a{% else %}/b/{{ yes }}{% endif %}?c">A</a>', "A </b/True?c>"),
        ('<a href={% if yes %}"{{ url }}"{% endif %}>A</a>', "A <https://example.org/?a=1&b=2#c>"),
    ],
)
def test_links_tell_their_address(html: str, text: str) -> None:
    """Whole and decoded, once, and only where it leads somewhere."""
    assert _text(html) == text


def test_a_line_of_characters_for_the_layout_is_empty() -> None:
    """Some e-mails have them between paragraphs, for height."""
    assert _text("<p>a</p><div>&zwj;</div><div> &#847;&zwnj;&nbsp;&#8203; </div>b") == "a\n\nb"


def test_characters_for_the_layout_are_left_out() -> None:
    """But not those that are spelling: between Persian letters, within an emoji."""
    words = "\u0645\u06cc\u200c\u0634\u0648\u062f \U0001f469\u200d\U0001f4bb"
    assert _text(f"2&zwnj;0{{{{ empty }}}}26 Donau&shy;dampf &#8203;a {words}") == (
        f"2026 Donaudampf \u200ba {words}"
    )


@each(
    ("html", "text"),
    [
        ('a<img src="x.png" alt="B {{ items[0] }}">c', "a B one c"),
        ("<img alt=''><img><img alt>", ""),
        ('<img alt="A"><img alt="B">', "A B"),
        ("<img {% if no %}alt='A'{% else %}alt='B'{% endif %}>", "B"),
        ('<img alt="A" style="display: none">', ""),
    ],
)
def test_images_give_their_text(html: str, text: str) -> None:
    """And nothing where they have none."""
    assert _text(html) == text


@each(
    "dropped",
    [
        "<style>p > a { content: '<p>' } {{ name }}</style>",
        "<STYLE>{{ name }}</style\n>",
        "<style>@media print{#menu{display:none}}</style>",
        "<script>if (a < b) { '</p>' }</script>",
        "<title>{{ name }}</title>",
        "<head><meta charset=utf-8> x {{ name }} {% include 'styles' %}<link></head>",
        "<template><p>{{ name }}</p></template>",
        "<svg viewBox='0 0 1 1'><text>{{ name }}</text></svg>",
        "<svg/>",
        "<!-- {{ name }} <p> -- > -->",
        "<!--><!---><!----><!-- a --!>",
        "<!DOCTYPE html><?xml version='1.0'?><![CDATA[ x ]]>",
        "<!--[if mso]><table><tr><td>{{ name }}<![endif]--><!--[if mso | IE]></td><![endif]-->",
        "{# {{ name }} #}",
        "<p {{ name }} title='{{ name }}' {% include 'footer' %}></p {{ name }}>",
        '<div style="display:none;max-height:0">{{ name }}<div>b</div>c</div>',
        "<span style='color: red; DISPLAY : NONE !important'>a</span>",
        "<div hidden><p>{{ name }}</p></div>",
        "<p style='display:none'>a<br>b</p>",
        "<iframe src='/'>{{ name }}</iframe>",
        "<style>{% if yes %}{{ name }}{% else %}{{ url }}{% endif %}</style>",
        "<style>{% for i in items %}{{ i }}{% include 'footer' %}{% endfor %}</style>",
        "<style>{% filter upper %}{{ name }}{% endfilter %}</style>",
        "<style>{% with a = 1 %}{{ a }}{{ name }}{% endwith %}</style>",
        "<!-- {% block note %}{% set inner = 1 %}{{ inner }}{% endblock %} -->",
        "{% from 'buttons' import box %}<!-- {% call box() %}{{ name }}{% endcall %} -->",
    ],
)
def test_invisible_html_gives_no_text(dropped: str) -> None:
    """Styles, comments, hidden elements; with the prints, includes and blocks in them."""
    assert _text(f"a {dropped} b") == "a b" if "<p" not in dropped else "a\n\nb"
    assert "name" not in text_source(dropped)


@each(
    ("html", "text"),
    [
        ("<!--[if !mso]><!--><p>a</p><!--<![endif]-->", "a"),
        ("<![if !mso]>a<![endif]>", "a"),
        ("<!-- {% if no %} -->a<!-- {% else %} -->b<!-- {% endif %} -->", "b"),
        ('<div style="display:block">a</div>', "a"),
        ('<div style="overflow:hidden">a</div>', "a"),
        ('<div data-style="display:none" class="hidden">a</div>', "a"),
        ('<div {% if no %}hidden{% endif %} style="color:red">a</div>', "a"),
        ('<div style="{% if no %}display:none{% endif %}">a</div>', "a"),
        ('<div style="display:none">a<div>b</div></div>c', "c"),
        ("<head><title>T</title><body>a", "a"),
        ("<head><title>T</title><p>a", "a"),
        ("<noscript>a</noscript>", "a"),
        ("<o:p>a</o:p><v:shape>b</v:shape>", "ab"),
        (
            "<{% if no %}th{% else %}td{% endif %} id=x>a</{% if no %}th{% else %}td{% endif %}>b",
            "a b",
        ),
        ("{% if yes %}<td{% else %}<th{% endif %}>a</td>b", "a b"),
    ],
)
def test_visible_html_gives_text(html: str, text: str) -> None:
    """Also when it looks much like something that is hidden."""
    assert _text(html) == text


def test_text_is_shown_when_only_one_branch_hides_it() -> None:
    """An element hidden in one branch must not take the rest of the mail with it."""
    template = (
        "{% if no %}<div style='display:none'>{% else %}<div>{% endif %}a</div>"
        "{% if yes %}<p>b{% elif no %}<p hidden>c{% endif %}</p>d"
    )
    assert _text(template) == "a\n\nb\n\nd"


@each(
    ("html", "text"),
    [
        ("<head>{% set n = 1 %}</head>{{ n }}", "1"),
        ("<style>{% if yes %}{% set n = 1 %}{% endif %}</style>{{ n }}", "1"),
        (
            "<head>{% set t %}<b>{{ items[0] }}{% endset %}<title>{{ t }}</title></head>{{ t }}",
            "one",
        ),
        ("<!-- {% macro m(x) %}<p>{{ x }}</p>{% endmacro %} -->a{{ m('b') }}c", "a\n\nb\n\nc"),
        ("a{% macro m(x) %}<div>{{ x }}</div>{% endmacro %}{{ m('b') }}", "a\nb"),
        ("{% set t %}{% set u %}<i>x</i>{% endset %}{{ u }}y{% endset %}{{ t }}", "xy"),
        ("{% set t | upper %}<i>x</i>{% endset %}{{ t }}", "X"),
        (
            "<head>{% from 'buttons' import button %}</head>{{ button(url, 'Go') }}",
            "Go <https://example.org/?a=1&b=2#c>",
        ),
        ("{% import 'buttons' as b %}{{ b.button('/x', name) }}", f"{VALUES['name']} </x>"),
        ("a{% include 'footer' %}", f"a\n\nBye, {VALUES['name']}. Leave <{VALUES['url']}>"),
        ("<head>{% include 'styles' %}</head>{% include 'styles' %}a", "a"),
        (
            """{% for i in items %}<!-- {% if i == "one" %}{% continue %}{% endif %} -->
            {{ i }}{% endfor %}""",
            "two three",
        ),
        (
            """{% extends 'base' %}{% block css %}b { }{% endblock %}
            {% block head %}{{ super() }}<title>U</title>{% endblock %}
            {% block body %}<p>{{ name }}</p>{% endblock %}
            {% block heading %}{{ super() }}!{% endblock %}""",
            f"Base!\n\n{VALUES['name']}",
        ),
    ],
)
def test_definitions_stay_wherever_they_stand(html: str, text: str) -> None:
    """What a head or a comment sets, imports or defines is there for the text too."""
    assert _text(html) == text


@each(
    ("html", "text"),
    [
        ("&#123;&#123; x }}", "{{ x }}"),
        ("&lbrace;% if %&rbrace; {&#35; #}", "{% if %} {# #}"),
        ("{% raw %}{{ x }} {% if %} {# a #}{% endraw %}", "{{ x }} {% if %} {# a #}"),
        ("<p>{% raw -%} <b>{{</b> {%- endraw %}{{ items[0] }}</p>", "{{one"),
        ("{<b>{</b> x }} {<b>% if %}</b> {<i></i>{{ items[0] }}", "{{ x }} {% if %} {one"),
        ("a {", "a {"),
        ("{{ '{{' }} {{ \"%}\" }} {{ {'a': {'b': 1}}.a.b }}", "{{ %} 1"),
        ("a {{- items[0] -}} b <b>{{- items[0] -}}</b> c {#- x -#} d", "aoneb one cd"),
        ("a\n{%- if yes -%}\n b {%- endif %} c", "ab c"),
        ("{{ -1 }} {{+ 2 }} {%+ if yes +%}3{% endif %}", "-1 2 3"),
    ],
)
def test_the_engine_reads_only_the_tags_of_the_author(html: str, text: str) -> None:
    """Braces that are text stay text, and whitespace control takes what it took in the HTML."""
    assert _text(html) == text


def test_a_real_mail() -> None:
    """A preheader, media queries, nested tables, a bulletproof button and Outlook's own markup."""
    template = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
 "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:v="urn:schemas-microsoft-com:vml"
 xmlns:o="urn:schemas-microsoft-com:office:office">
<head>
  <meta http-equiv="Content-Type" content="text/html; charset=utf-8">
  <title>Order {{ name }}</title>
  {% set total = items|length %}
  <!--[if gte mso 9]><xml><o:OfficeDocumentSettings><o:AllowPNG/>
  <o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml><![endif]-->
  <style type="text/css">
    @media only screen and (max-width:600px){#menu{display:none}.w{width:100%!important}}
    {% if no %}a > b { color: {{ name }} }{% endif %}
  </style>
</head>
<body style="margin:0;padding:0">
<div style="display:none;font-size:1px;max-height:0">Look inside &zwnj;&nbsp;&zwnj;&nbsp;</div>
<!--[if mso]><table width="600"><tr><td><![endif]-->
<table role="presentation" width="100%"><tr><td {% if yes %}class="w"{% endif %}>
  <h1>Hello {{ items[0] }}!</h1>
  <p>Your order of {{ total }} items &amp; more.<br>
  It ships <b>soon</b>.</p>
  <table>
  {% for item in items if item %}
    <tr><td>{{ item }}</td><td align="right">{{ loop.index }} &euro;</td></tr>
  {% endfor %}
  </table>
  <div><!--[if mso]>
    <v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" href="{{ url }}"
     style="height:40px;v-text-anchor:middle;width:200px;" arcsize="10%"><w:anchorlock/>
    <center>Track</center></v:roundrect>
  <![endif]--><!--[if !mso]><!--><a href="{{ url }}"
     style="background-color:#49a;border-radius:4px;display:inline-block">Track</a><!--<![endif]-->
  </div>
  {% if empty %}<p>{{ empty }}</p>{% endif %}
  <a href="https://x.example"><img src="x.png" alt="X" width="20"></a><a
   href="https://y.example"><img src="y.png" alt="Y" width="20"></a>
  <p style="font-size:11px">Questions? <a href="mailto:help@example.org">help@example.org</a></p>
</td></tr></table>
<!--[if mso]></td></tr></table><![endif]-->
<o:p></o:p>
</body></html>
"""
    assert (
        _text(template)
        == """\
Hello one!

Your order of 3 items & more.
It ships soon.

one 1 €
two three 2 €

Track <https://example.org/?a=1&b=2#c>
X <https://x.example> Y <https://y.example>

Questions? help@example.org"""
    )


def test_blocks_that_show_nothing_cost_nothing() -> None:
    """Conditions of which only markup depended are gone from the text's template."""
    template = '<td {% if yes %}class="x"{% else %}b{% endif %}>a</td><!-- {% for i in items %} -->'
    assert text_source(f"{template}<!-- {{% endfor %}} -->").split() == ["a"]


@each(
    ("html", "text"),
    [
        ("<a href='/a'>b{{ mark }}</a> c", "b </a> c"),
        ("<a href='/a{{ mark }}'>b</a>", "b </a>"),
        ("<ul><li>a{{ mark }}</li></ul>", "- a"),
        ("a{{ mark }} {{ mark }} b</a>", "a b"),
    ],
)
def test_marks_in_values_and_of_unclosed_tags_do_not_show(html: str, text: str) -> None:
    """A value's are left out before the render, and the others after it."""
    for number in (*range(0x01, 0x09), *range(0x0E, 0x1A)):
        values = {"mark": chr(number)}
        assert _before(html, values) == _after(html, values) == text


SPACES = " \t\n\r\v\f\x1c\x85\u00a0\u2028\u3000"
ANY_TEXT = st.text(
    st.sampled_from(f"ab{{}}%#<>&;\"'/!-\x10\x13\x15\x16\x17\x1a\x1b{SPACES}")
    | st.characters(codec="utf-8", exclude_characters="\0"),
    max_size=12,
) | st.sampled_from(["", "{{ a }}", "{% if %}", "&amp;", "<p>", "--><p>", "mailto:a", "#a", "/b"])
LEAVES = st.sampled_from(
    [
        "{{ a }}",
        "{{ a }} {{ b }}",
        "{{- a -}}",
        " word ",
        "\n  ",
        "&nbsp;&amp; ",
        "&#123;&#123; ",
        "{% raw %}{{ a }}{% endraw %}",
        "{<i></i>",
        "a < b ",
        "<br>",
        "<hr>",
        "{# note #}",
        '<img alt="{{ b }}">',
        "<img {% if x %}alt='{{ a }}'{% endif %}>",
        "<style>p { {{ a }} }{% if x %}</i>{% endif %}</style>",
        "<!-- {{ a }} {% for i in items %}{{ i }}{% endfor %} -->",
        "<!--[if mso]><td>{{ a }}<![endif]-->",
        "{% macro m(v) %}<p>{{ v }}</p>{% endmacro %}{{ m(a) }}",
        "{% include 'part' %}",
        "{% set s = a %}{{ s }}",
    ]
)
WRAPS = st.sampled_from(
    [
        "<p>%s</p>",
        "<div class='c' {%% if x %%}id='{{ a }}'{%% endif %%}>%s</div>",
        "<b>%s</b>",
        "<h2>%s</h2>",
        "<ul><li>%s</li><li>{{ b }}</li></ul>",
        "<table><tr><td>%s</td><td>{{ b }}</td></tr></table>",
        "{%% if x %%}%s{%% else %%}{{ b }}{%% endif %%}",
        "{%% if y %%}<p>{{ a }}</p>{%% elif x %%}%s{%% endif %%}",
        "{%% for i in items %%}<tr><td>{{ i }}</td><td>%s</td></tr>{%% else %%}none{%% endfor %%}",
        "<a href='{{ a }}'>%s</a>",
        '<a href="https://x.example/?q={{ a }}&amp;r={{ b }}">%s</a>',
        "{%% if x %%}<a href='{{ a }}'>{%% else %%}<a href='/b'>{%% endif %%}%s</a>",
        "<div style='display:none'>%s</div>",
        "<!--[if !mso]><!-->%s<!--<![endif]-->",
        "{%% set t %%}%s{%% endset %%}{{ t }}",
        "{%% with w = a %%}{{ w }}%s{%% endwith %%}",
    ]
)
TEMPLATES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda wrap, parts: wrap % "".join(parts), WRAPS, st.lists(inner, max_size=4)
    ),
    max_leaves=12,
)
PARTIALS["part"] = "<p>{{ a }}<a href='{{ b }}'>c</a>"


@QUICK
@given(
    TEMPLATES,
    st.fixed_dictionaries(
        {
            "a": ANY_TEXT,
            "b": ANY_TEXT,
            "x": st.booleans(),
            "y": st.booleans(),
            "items": st.lists(ANY_TEXT, max_size=3),
        }
    ),
)
@example("<a href='{{ a }}'>{{ b }}</a>", {"a": "/b", "b": "/b"})
@example("<a href='{{ a }}'>{{ b }}</a>", {"a": "mailto:a", "b": "\u2028"})
@example("<p>{{ a }} {{ b }}<p>{{ a }}</p>{{ a }}</p>", {"a": "\x19", "b": "0"})
@example("<p>{{ a }} {{ b }}<p>{{ a }}</p>{{ a }}</p>", {"a": "\x18", "b": "0"})
@example("<p>{{ a }} {{ b }}</p><ul><li>{{ a }}</li></ul>", {"a": "\x0e", "b": "0"})
@example("<ul><li>{{ a }} {{ b }}</li><li>{{ b }}</li></ul>", {"a": "\x19", "b": "0"})
@example("<ul><li>{{ a }} {{ b }}</li><li>{{ b }}</li></ul>", {"a": "\x13\x19", "b": "0"})
def test_before_or_after_the_render_the_text_is_the_same(
    template: str, values: dict[str, Any]
) -> None:
    """Whatever the values: they are text in the page, and the same text beside it."""
    text = _before(template, values)
    assert text == _after(template, values)
    assert text == text.strip()
    assert "\n\n\n" not in text
    assert not set(text) & (set(SPACES) - {" ", "\n"})
    # Items of lists are indented.
    assert all(line.lstrip(" ") == " ".join(line.split()) for line in text.split("\n"))


@QUICK
@given(st.text(st.characters(codec="utf-8")))
def test_any_source_gives_a_text(source: str) -> None:
    """Broken HTML and broken templates raise nothing."""
    text_source(source)
    text_of(source)


@each(
    "junk",
    [
        "<",
        "{#",
        "<a ",
        '<a href="',
        "<a href=x>",
        "<!--",
        "<!--[if mso]>",
        "</",
        "<style>",
        "<title></title",
        "<head>",
        "<div hidden>",
        "<a hidden {% if a %}",
        "{% if a %}<div style='display:none'>",
        "{% set x %}",
        "{% set x %}{% endset %}",
        "{{ x }}",
        "{",
        "&",
        "<br> ",
        "<li>",
        "\x15a\x16",
    ],
)
def test_hostile_sources_take_no_longer_than_long_ones(junk: str) -> None:
    """A long body is read in time that grows with its size only."""
    source = (junk * LONG)[:LONG]
    with soon():
        text_source(source)
        text_of(source)


@each(
    ("html", "text"),
    [
        (
            '<td style="font-size:0"><a href="https://a.test/" style="font-size:13px">Go</a></td>',
            "Go <https://a.test/>",
        ),
        ('<td style="font-size:0"><a href="https://a.example/">Go</a></td>', ""),
        ('<td style="font-size:0"><img alt="Logo" style="font-size:13px"></td>', "Logo"),
        ('<td style="font-size:0"><img alt="Logo"> <b style="font-size:1em">b</b></td>', "b"),
    ],
)
def test_cells_of_size_0_hide_what_has_no_size_itself(html: str, text: str) -> None:
    """MJML writes such cells around everything, so that no space stands between columns."""
    page = f"<table><tr>{html}</tr></table>"
    assert _after(page, {}) == _before(page, {}) == text


@each(
    ("style", "text"),
    [
        ("font-size:13px;text-align:{% if a %}left{% else %}right{% endif %};", "shown"),
        ("display:none;color:{% if a %}red{% endif %}", ""),
        ("color:red{% if a %};display:none{% endif %}", "shown"),
        ("{% if a %}display:none{% endif %}", "shown"),
    ],
)
def test_what_a_style_has_in_every_render_counts(style: str, text: str) -> None:
    """Conditions in the value of an attribute do not make all of it uncertain."""
    template = (
        f'<div style="font-size:0"><p style="font-size:1em"><span style="{style}">shown</span>'
    )
    assert _before(template, {"a": False}) == text


def test_marks_of_notes_are_raised_as_they_are() -> None:
    """And what is calculated has brackets where it has no characters of its own."""
    page = (
        "<p>Acme<sup>®</sup>x<sup>*</sup> note<sup>[1]</sup> x<sup>n+1</sup> 2<sup>10/3</sup></p>"
    )
    assert _text(page) == "Acme®x* note[1] xⁿ⁺¹ 2^(10/3)"


def test_every_kind_of_whitespace_of_a_value_is_one_space() -> None:
    """Texts that hold none but the space are seen quickly, by their bytes."""
    kinds = [character for character in map(chr, range(0x110000)) if character.isspace()]
    assert {text: finished(text) for text in (f"a{kind}é{kind}" for kind in kinds)} == {
        f"a{kind}é{kind}": "a é" for kind in kinds
    }


def test_characters_that_nobody_sees_leave_a_text_of_any_script() -> None:
    """A soft hyphen anywhere, and the others where they fill space, as in a preheader."""
    unseen = "\u034f\u200b\u200c\u200d\u2060\ufeff"
    assert finished("Straße\u00adn") == "Straßen"
    assert [finished(f"é {character} b") for character in unseen] == ["é b"] * len(unseen)


@each("order", [("list", "words"), ("words", "list")])
def test_partials_of_markup_and_of_words_stand_in_one_text(order: tuple[str, str]) -> None:
    """Each as a reader would see it, in whatever order."""
    partials = {"list": "<p>a</p><ul><li>b</li></ul>", "words": "c"}
    body = "".join(f'{{% include "{name}" %}}\n' for name in order)
    text = body_of(Engine(Limits()), source_of(body, "sms", partials=partials), {})
    assert text.split() == (["a", "-", "b", "c"] if order[0] == "list" else ["c", "a", "-", "b"])
