"""Where placeholders may stand in HTML, and which addresses no value may bring."""

from html.parser import HTMLParser

from hypothesis import example, given, settings
from hypothesis import strategies as st
from minijinja import Environment

from tasks.rendering.html.addresses import dangerous_address
from tasks.rendering.html.contexts import markup_in_attributes, unsafe_prints
from tasks.rendering.tags import tags
from tests.support.alarm import LONG, soon
from tests.support.cases import each

QUICK = settings(max_examples=80, deadline=None)


BULLETPROOF_BUTTON = """
<div><!--[if mso]>
  <v:roundrect xmlns:v="urn:schemas-microsoft-com:vml"
   xmlns:w="urn:schemas-microsoft-com:office:word" href="{{ url }}"
   style="height:40px;v-text-anchor:middle;width:200px;" arcsize="10%"
   strokecolor="#1e3650" fillcolor="{{ colour }}">
    <w:anchorlock/>
    <center style="color:#ffffff;font-family:sans-serif;">{{ label }}</center>
  </v:roundrect>
<![endif]--><!--[if !mso]><!--><a href="{{ url }}"
style="background-color:{{ colour }};mso-hide:all;">{{ label }}</a><!--<![endif]-->
</div>
"""
BACKGROUND = """
<td background="{{ image }}" bgcolor="#7bceeb" width="120" valign="top">
  <!--[if gte mso 9]>
  <v:rect xmlns:v="urn:schemas-microsoft-com:vml" fill="true" stroke="false" style="width:120px;">
    <v:fill type="tile" src="{{ image }}" color="#7bceeb" />
    <v:textbox inset="0,0,0,0">
  <![endif]-->
  <div>{{ text }}</div>
  <!--[if gte mso 9]></v:textbox></v:rect><![endif]-->
</td>
"""
HEAD = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
 "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:o="urn:schemas-microsoft-com:office:office">
<head><title>{{ title }}</title>
<!--[if mso]><xml><o:OfficeDocumentSettings><o:AllowPNG/></o:OfficeDocumentSettings></xml>
<style>td { font-family: {{ font }} !important }</style><![endif]-->
<style type="text/css"><![CDATA[
  @media only screen and (max-width:600px){#menu{display:none}.w{width:100%!important}}
  a > b::after { content: "<a href="; color: {{ colour }} }
]]></style></head>
<body><div style="display:none;max-height:0">{{ preheader }}&zwnj;&nbsp;</div><o:p>{{ a }}</o:p>
"""


def _where(source: str) -> list[str]:
    """Return the unsafe tags of a source as they stand there."""
    by_start = {tag.start: source[tag.start : tag.end] for tag in tags(source)}
    return [by_start[unsafe.start] for unsafe in unsafe_prints(source)]


@each(
    "source",
    [
        "",
        "{{ a }}",
        "a < b {{ a }} <3 {{ b }} 1<{ {{ c }}",
        "< {{ a }} <> {{ a }} <-{{ a }} <1{{ a }}",
        '<p class="{{ a }}">{{ b }}</p>',
        "<p class='a {{ a }} \"b\" > {{ b }}' id = \"{{ c }}\"title='{{ d }}'>",
        '<p\nclass\n=\n"{{ a }}"\n>',
        '<a href="{{ url }}?a={{ a }}&amp;b={% include "b" %}">{% include "label" %}</a>',
        '<a {% if a %}href="{{ a }}"{% endif %} {% if b %}disabled{% endif %}>',
        "{% if a %}<a href=\"{{ x }}\">{% else %}<a href='{{ y }}'>{% endif %}{{ z }}</a>",
        '<a href={% if x %}"{{ y }}"{% else %}"#"{% endif %}>{{ z }}</a>',
        '<p class="a{% if a %} {{ b }}{% endif %}">',
        "<{% if a %}th{% else %}td{% endif %} class='{{ a }}'>{{ b }}",
        "<br/>{{ a }}<br />{{ b }}<img src=/a/>{{ c }}",
        "<style>a[href={{ a }}] { color: {{ b }} } <p .{{ c }} {}</style>",
        "<title><p {{ a }}></title><textarea><p {{ b }}></textarea>",
        "<STYLE><a {{ a }}></stylex {{ b }}></ style {{ c }}>{}</Style >",
        "<style>{% include 'rules' %}{% block more %}{{ super() }}{% endblock %}</style>",
        "<p style=\"{{ 'color:red' if x else 'color:blue' }};{% include 'rules' %}\">",
        "<!-- <p {{ a }} -- > {{ b }} --><!-- {{ c }} --!>{{ d }}<!-->{{ e }}<!--->{{ f }}",
        "<!DOCTYPE html {{ a }}><?xml {{ b }}?></ {{ c }}><![CDATA[ {{ d }} ]]>",
        "<![if !mso]>{{ a }}<![endif]><!--[if !mso]><!-->{{ b }}<!--<![endif]-->",
        "<!--[if {{ a }}]>{{ b }}<![endif]--><!--[IF mso]><!-- <p b={{ b }}> <![endif]-->",
        '<script type="application/ld+json">{"a": {{ a | tojson }}}</script>{{ b }}',
        "<script type='Application/JSON '>{% if a %}{{ a|tojson() }}{% endif %}</script>",
        "<script>var a = '<!-- x';</script>{{ a }}",
        "<script src='{{ a }}'></script>",
        "{% raw %}<p {{ a }}>{% endraw %}{# <p {{ b }}> #}{{ c }}",
        "<p {# {{ a }} #}>{{ b }}",
        '{% set link %}<a href="{{ a }}">{% endset %}{{ link }}',
        '<p style="color: {{ a }}" data-on="{{ b }}" title="on click={{ c }}">',
        "<p title='",
        BULLETPROOF_BUTTON,
        BACKGROUND,
        HEAD,
    ],
)
def test_placeholders_are_safe_where_escaping_holds_them(source: str) -> None:
    """In text, quoted values, comments, styles and data."""
    assert unsafe_prints(source) == []


@each(
    ("source", "where", "advice"),
    [
        ("<a href={{ a }}>", ["{{ a }}"], "quote"),
        ("<a href=/x?{{ a }}&{{ b }}>", ["{{ a }}", "{{ b }}"], "quote"),
        ("<a href=\n{{ a }} title='{{ b }}'>{{ c }}", ["{{ a }}"], "quote"),
        ("<a href={% if x %}{{ a }}{% endif %}>", ["{{ a }}"], "quote"),
        ("<a href={% include 'a' %} b='c'>", ["{% include 'a' %}"], "quote"),
        ("<a href={{ a }}'{{ b }}'>", ["{{ a }}", "{{ b }}"], "quote"),
        ('<a b="c"d={{ a }}>', ["{{ a }}"], "quote"),
        ("<a b='>' c={{ a }}>", ["{{ a }}"], "quote"),
        ("<a/b={{ a }}>", ["{{ a }}"], "quote"),
        ("<A HREF={{ a }}", ["{{ a }}"], "quote"),
        ("<!--[if mso]><v:rect href={{ a }}><![endif]-->{{ b }}", ["{{ a }}"], "quote"),
        ("<!--[if !mso]><!--><a href={{ a }}><!--<![endif]-->", ["{{ a }}"], "quote"),
        ("{% set x %}<a href={{ a }}>{% endset %}", ["{{ a }}"], "quote"),
        ("<{% if a %}th{% else %}td{% endif %} class={{ a }}>", ["{{ a }}"], "quote"),
        ("<p>a <b c={{ a }}", ["{{ a }}"], "quote"),
        ("<style></styles><p a={{ a }}>{}</style><p b={{ b }}>", ["{{ b }}"], "quote"),
        ("<p {{ a }}>", ["{{ a }}"], "{% if %}"),
        ("<p class='a' {{ a }} id='b'{{ b }}>", ["{{ a }}", "{{ b }}"], "{% if %}"),
        ("<p {% if x %}{{ a }}{% endif %}/>", ["{{ a }}"], "{% if %}"),
        ("<p {% include 'a' %}>{{ b }}", ["{% include 'a' %}"], "{% if %}"),
        ("</p {{ a }}>", ["{{ a }}"], "{% if %}"),
        ("<p data-{{ a }}='{{ b }}'>", ["{{ a }}"], "{% if %}"),
        ("<p {{ a }}='b'>", ["{{ a }}"], "{% if %}"),
        ("<{{ a }}>", ["{{ a }}"], "{% if %}"),
        ("</{{ a }}>", ["{{ a }}"], "{% if %}"),
        ("<{% if x %}{{ a }}{% endif %}>", ["{{ a }}"], "&lt;"),
        ("<h{{ a }} b='{{ c }}'>{{ d }}</h{{ a }}>", ["{{ a }}", "{{ a }}"], "{% if %}"),
        ("cheaper than <{{ a }} or <{{ b }}", ["{{ a }}", "{{ b }}"], "&lt;"),
        ("<!--[if mso]><{{ a }}><![endif]-->", ["{{ a }}"], "{% if %}"),
        ('<p onclick="a(\'{{ a }}\')" ONLOAD = "{{ b }}">', ["{{ a }}", "{{ b }}"], "data-"),
        ('<iframe srcdoc="<p>{{ a }}</p>"></iframe>', ["{{ a }}"], "srcdoc"),
        ("<xmp>{{ a }}</xmp><pre>{{ b }}</pre>", ["{{ a }}"], "<xmp>"),
        ("<XMP {% if a %}b{% endif %}>{{ a }}</Xmp >{{ b }}", ["{{ a }}"], "<xmp>"),
        ("{{ b }}<plaintext>{{ a }}", ["{{ a }}"], "<plaintext>"),
        ("<noembed>{{ a }}</noembed>", ["{{ a }}"], "<noembed>"),
        ("<noframes>{{ a }}</noframes>", ["{{ a }}"], "<noframes>"),
        ("<iframe src='{{ b }}'>{{ a }}</iframe>{{ b }}", ["{{ a }}"], "<iframe>"),
        ("<!--[if mso]><xmp>{{ a }}</xmp><![endif]-->", ["{{ a }}"], "<xmp>"),
        ("<script>a('{{ a }}', {{ b }})</script>{{ c }}", ["{{ a }}", "{{ b }}"], "data-"),
        ("<script>{% include 'b' %}</script>", ["{% include 'b' %}"], "data-"),
        ("<SCRIPT type=module>{{ a }}</SCRIPT>", ["{{ a }}"], "data-"),
        ("<script type='{{ t }}'>{{ a }}</script>", ["{{ a }}"], "data-"),
        ("<script type=text/javascript+jsonp>{{ a }}", ["{{ a }}"], "data-"),
        ("<!--[if mso]><script>{{ a }}</script><![endif]-->", ["{{ a }}"], "data-"),
        ("<script>a({{ a|tojson }})</script>", ["{{ a|tojson }}"], "data-"),
        ("<script type='application/json'>{{ a }}</script>", ["{{ a }}"], "tojson"),
        ("<script type='a/b+json'>{{ a ~ b }}</script>", ["{{ a ~ b }}"], "tojson"),
        ('<script type="a/b+json">{"a": "{{ a|tojson }}"}</script>', ["{{ a|tojson }}"], "quotes"),
        ('<script type="a/b+json">{"a{{ a }}": 1}</script>', ["{{ a }}"], "quotes"),
        ('<p style="{{ a }}">', ["{{ a }}"], "write the property out"),
        ("<p style='color: {{ a }};{{ b }}'>", ["{{ b }}"], "write the property out"),
        ("<p style='{{ a }}: red'>", ["{{ a }}"], "write the property out"),
        ("<p style='a: {{ f }}(1)'>", ["{{ f }}"], "function"),
        ("<p style='width: expression({{ a }})'>", ["{{ a }}"], "runs"),
        ("<p style='behavior: url({{ a }})'>", ["{{ a }}"], "runs"),
        ("<p style='-moz-binding:url(\"{{ a }}\")'>", ["{{ a }}"], "runs"),
        ("<p style='color: red /* {{ a }} */'>", ["{{ a }}"], "comment"),
        ("<p style='content: \\{{ a }}'>", ["{{ a }}"], "backslash"),
        ("<p style='color: red !{{ a }}'>", ["{{ a }}"], "exclamation"),
        ("<style>{{ a }}</style>", ["{{ a }}"], "write the rule out"),
        ("<style>a{b:c}{{ a }}</style>", ["{{ a }}"], "write the rule out"),
        ("<style>a{ {{ a }} }</style>", ["{{ a }}"], "write the rule out"),
        ("<style>@import url({{ a }});</style>", ["{{ a }}"], "@import"),
        ("<style>@import '{{ a }}';a{b:{{ c }}}</style>", ["{{ a }}"], "@import"),
        ("<!--[if mso]><style>{{ a }}</style><![endif]-->", ["{{ a }}"], "write the rule out"),
    ],
)
def test_placeholders_elsewhere_are_told_with_what_to_do(
    source: str, where: list[str], advice: str
) -> None:
    """Each once, at its place in the source, in order."""
    assert _where(source) == where
    assert all(advice in unsafe.message for unsafe in unsafe_prints(source))


def test_places_are_counted_in_the_source() -> None:
    """Whatever comments, raw text, whitespace control and wide characters stand before."""
    source = "ä🙂{# c #}{% raw %}{{ r }}{% endraw %} {%- set x = 1 -%} <p a={{ x }} b={{- y -}} >"
    starts = [unsafe.start for unsafe in unsafe_prints(source)]
    assert starts == [source.index("{{ x }}"), source.index("{{- y")]


ESCAPED = Environment(auto_escape_callback=lambda _name: True)
HOSTILE = "x onload=a //><script>a</script>'\"--><b c='</style>"


class _Skeleton(HTMLParser):
    """What a page consists of, as another parser reads it: tags and names of attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}",))


def _skeleton(source: str, value: str) -> list[tuple[str, ...]]:
    parser = _Skeleton()
    parser.feed(ESCAPED.render_str(source, v=value))
    parser.close()
    return parser.tags


PIECES = [*"<>\"' -a", "{{ v }}", "<p ", "<a b=", "</p>", "<!--", "-->", "<style>", "</style>"]


@QUICK
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example("<p title='{{ v }}'>{{ v }}<!-- {{ v }} --><style>{{ v }}</style>")
def test_in_a_safe_template_no_value_makes_ends_or_changes_a_tag(source: str) -> None:
    """As another parser reads the rendered page."""
    # The other parser departs from the standard for tags that do not end, and in end tags.
    page = f"{source}--></style>\"'>"
    if not unsafe_prints(page):
        assert _skeleton(page, HOSTILE) == _skeleton(page, "v")


@QUICK
@given(st.text(st.characters(codec="utf-8")))
def test_any_source_is_judged(source: str) -> None:
    """Broken HTML and broken templates raise nothing."""
    assert all(0 <= unsafe.start < len(source) for unsafe in unsafe_prints(source))
    dangerous_address(f"{source}<a href='javascript:{source}'>", [])


@each(
    "page",
    [
        "<a href='javascript:alert(1)'>",
        '<A HREF = "JavaScript:alert(1)">',
        "<a href=javascript:alert(1)>",
        "<a href=' \x01\n\tjava\r\nscript\t:alert(1)'>",
        "<a href='&#32;&#x1;javascript&#58;alert(1)'>",
        "<a href='javascript&#x0003A;alert(1)'>",
        "<a href='javascript&colon;alert(1)'>",
        "<a href='java&Tab;scr&NewLine;ipt:alert(1)'>",
        "<a href='vbs&#99ript&#58alert'>",
        "<a href='&#X4a;avas&#0000067;ript:alert'>",
        "<a href='vbscript:x'>",
        "<a href='data:text&#x2f;html,x'>",
        "<a href='data:image&#x2f;png;base64,x'>",
        "<form action='javascript:x'>",
        "<button formaction='javascript:x'>",
        "<svg><use xlink:href='javascript:x'></svg>",
        "<iframe src='javascript:x'></iframe>",
        "<iframe src='DATA:text&#x2f;html,x'></iframe>",
        "<object data='data:text/html,x'></object>",
        "<td background='javascript:x'>",
        "<video poster='javascript:x'>",
        "<img srcset='a.png 1x, javascript:x 2x'>",
        "<img srcset='data:text/html;base64,x 2x'>",
        "<blockquote cite='javascript:x'>",
        "<img longdesc='javascript:x'>",
        "<meta http-equiv='refresh' content='0;url=javascript:x'>",
        "<meta content='0;url=javascript:x' http-equiv='refresh'>",
        '<META HTTP-EQUIV=Refresh CONTENT="5; URL = &#x27; JavaScript:x&#x27;">',
        "<meta http-equiv=' refresh' content='.5,url=\"\tjava\nscript:x\"'>",
        "<meta http-equiv='&#114;efresh' content='0 data:text/html,x'>",
        "<meta http-equiv='refresh' content='data:image/svg+xml,x'>",
        "<meta http-equiv='refresh' content=' ; url=vbscript:x'>",
        "<base href='javascript:x'>",
        "<link rel='stylesheet' href='data:text/css,x'>",
        "<link rel='preload' imagesrcset='a.png 1x,javascript:x 2x'>",
        "<object codebase='javascript:x'></object>",
        "<object><param name='movie' value='javascript:x'></object>",
        "<svg xml:base='javascript:x'></svg>",
        "<svg><a xlink:href='javascript:x'></a></svg>",
        "<svg><animate attributeName='href' values='a;javascript:x'></svg>",
        "<input type='image' src='javascript:x'>",
        "<!--[if mso]><meta http-equiv='refresh' content='0;url=javascript:x'><![endif]-->",
        "<!--[if mso]><v:rect href='javascript:x'></v:rect><![endif]-->",
        "<p title='>'><a title='\"' href='javascript:x'",
        "<style><a href='</style><a href='javascript:x'>",
    ],
)
def test_an_address_that_runs_a_program_is_found(page: str) -> None:
    """As a browser reads it, in whatever attribute."""
    assert dangerous_address(page, ["<a href='{{ url }}'>"])
    assert dangerous_address(f"{HEAD}{page}", iter([HEAD]))


@each(
    "page",
    [
        "",
        "<a href='https://example.org/javascript:x'>javascript:x</a>",
        "<a href='/?a=javascript:x' title='javascript:x'>",
        "<a href='javascripts:x'>data: a</a>",
        "<a href='my-javascript:x'>",
        "<a href='mailto:a@example.org'>vbscript:</a>",
        "<img src='data:image&#x2f;png;base64,x'>",
        "<img srcset='data:image/png;base64,x 1x, b.png 2x'>",
        "<!-- <a href='javascript:x'> -->",
        "<style><a href='javascript:x'></style>",
        "<textarea><a href='javascript:x'></textarea>",
        "</a href='javascript:x'>",
        "<a data-href='javascript:x'>",
        "< a href='javascript:x'>",
        "<a href='&amp;#106;avascript:x'>",
        "<a href='java script:x'>",
        "<meta http-equiv='refresh' content='0;url=https://example.org/?u=javascript:x'>",
        "<meta name='description' content='javascript:x'>",
        "<meta http-equiv='refreshed' content='0;url=javascript:x'>",
        "<input value='javascript:x'>",
    ],
)
def test_harmless_addresses_are_not_dangerous(page: str) -> None:
    """Neither text that mentions one, nor an image, nor what a browser takes for something else."""
    assert not dangerous_address(page, [])


def test_an_author_may_write_what_a_value_may_not_bring() -> None:
    """The address of a template stays; the same scheme from a value is found beside it."""
    source = "<a href='javascript:void(0)'>{% if url %}<a href='{{ url }}'>{% endif %}"
    part = "<img src='data:text/plain,&lt;'>"
    page = "<a href='javascript:void(0)'><img src='data:text/plain,&lt;'>"
    assert not dangerous_address(page, [source, part])
    assert dangerous_address(page, [source])
    assert dangerous_address(f"{page}<a href='javascript:x'>", [source, part])
    rendered = ESCAPED.render_str(source, url="javascript:alert('a')")
    assert dangerous_address(rendered, [source])
    assert not dangerous_address(ESCAPED.render_str(source, url="/a"), [source])


@each(
    "junk",
    [
        "<",
        "<a ",
        "<a {{ x }}",
        "{{ x }}",
        "<{{ x }}",
        "<{% if a %}",
        "<a b='{{ x }}' c={{ y }} ",
        "<a href='",
        "<a href='javascript:x'>",
        "<a srcset='javascripts:,",
        "<!--[if mso]>",
        "<!--[if mso",
        "<!",
        "<script>{{ x }}",
        "<script>{{ x }}</script>",
        "<style></style",
    ],
)
def test_hostile_pages_take_no_longer_than_long_ones(junk: str) -> None:
    """A long body is read in time that grows with its size only."""
    page = (junk * LONG)[:LONG]
    for start in ("", "<p ", "<style>"):
        with soon():
            unsafe_prints(f"{start}{page}")
            dangerous_address(f"{start}{page}<a href='data:'>", ["a"])


CALLED = '{% macro a() %}<p title="{{ caller() }}">{% endmacro %}'


@each(
    ("source", "refused"),
    [
        ('{% set a %}<b>{{ n }}</b>{% endset %}<p title="{{ a }}">x</p>', True),
        ('{% set a %}say "{{ n }}"{% endset %}<p title="{{ a ~ n }}">x</p>', True),
        ('{% macro a(n) %}<i>{{ n }}</i>{% endmacro %}<img alt="{{ a(n) }}">', True),
        (f"{CALLED}{{% call a() %}}<b>{{{{ n }}}}</b>{{% endcall %}}", True),
        (f"{CALLED}{{% call a() %}}{{{{ n }}}}{{% endcall %}}", False),
        ("{% set a %}say \"{{ n }}\"{% endset %}<p title='{{ a }}'>{{ a }}</p>", False),
        ('{% set a %}{% if n == "x" %}big{% endif %}{% endset %}<p class="{{ a }}">x</p>', False),
        ('{% set a %}<b>{{ n }}</b>{% endset %}<p title="{{ a | striptags }}">{{ a }}</p>', False),
        (
            '{% macro m(a) %}<p title="{{ a }}">{% endmacro %}{% set a %}<b>{% endset %}',
            False,
        ),
    ],
)
def test_markup_that_would_end_an_attribute_is_found(source: str, refused: bool) -> None:  # noqa: FBT001 - a case
    """Set blocks and macros are not escaped once more, wherever they are printed."""
    assert bool(list(markup_in_attributes(source))) is refused
