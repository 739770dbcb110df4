"""Inlined styles: in the elements that rules select, and nothing else of the source changes."""

import re
from typing import Any

import pytest

from tasks.errors import Code
from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.inline_css import inlined
from tasks.rendering.limits import Limits
from tests.support.cases import each
from tests.support.sources import body_of, source_of

ENGINE = Engine(Limits())
STYLE = "<style>p{color:red}.b{margin:0}td.b{padding:1px}#i{top:0}</style>"


def elements(source: str) -> str:
    """Return what follows the style sheet, with its rules inlined."""
    whole = inlined(f"{STYLE}{source}", "body")
    assert whole.startswith(STYLE), "the style sheet stays"
    return whole.removeprefix(STYLE)


@each(
    ("source", "result"),
    [
        ("<p>a</p>", '<p style="color: red;">a</p>'),
        ("<P>a", '<P style="color: red;">a'),
        ("<p class=b>a</p>", '<p style="color: red;margin: 0;" class=b>a</p>'),
        ("<b id='i'/>", "<b style=\"top: 0;\" id='i'/>"),
        ("<p style='color:blue'>a</p>", "<p style='color: red; color:blue'>a</p>"),
        ("<p style=color:blue>a</p>", '<p style="color: red; color:blue">a</p>'),
        ('<p style="">a</p>', '<p style="color: red;">a</p>'),
        (
            '<p style="color:{{ c }};{% if x %}top:0{% endif %}">a</p>',
            '<p style="color: red; color:{{ c }};{% if x %}top:0{% endif %}">a</p>',
        ),
        (
            "<table>{% for i in l %}<tr id=i>{% endfor %}</table>",
            '<table>{% for i in l %}<tr style="top: 0;" id=i>{% endfor %}</table>',
        ),
        ("<tr><td class=b>a", '<tr><td style="margin: 0;padding: 1px;" class=b>a'),
        (
            "{# <p> #}<!-- <p> --><i>&nbsp;&copy; {{ '<p>' }}</i>",
            "{# <p> #}<!-- <p> --><i>&nbsp;&copy; {{ '<p>' }}</i>",
        ),
        (
            "{% if a %}<p>b</p>{% else %}<i>c</i>{% endif %}",
            '{% if a %}<p style="color: red;">b</p>{% else %}<i>c</i>{% endif %}',
        ),
        (
            "<p {% if a %}lang='de'{% endif %} title=\"{{ t }}\">",
            '<p style="color: red;" {% if a %}lang=\'de\'{% endif %} title="{{ t }}">',
        ),
        (
            "{%- if a -%}\n <p>  b </p>{%- endif -%}",
            '{%- if a -%}\n <p style="color: red;">  b </p>{%- endif -%}',
        ),
        (
            "{% raw %}<p>{{ a }}</p>{% endraw %}",
            '{% raw %}<p style="color: red;">{{ a }}</p>{% endraw %}',
        ),
    ],
)
def test_rules_are_written_into_their_elements(source: str, result: str) -> None:
    """The element's own style comes last, and the tags of the engine stay where they are."""
    assert elements(source) == result


def test_media_queries_and_states_stay_in_the_style_sheet() -> None:
    """They cannot be written into an element."""
    css = "p{color:red}p:hover{color:blue}@media (max-width:600px){p{color:green!important}}"
    source = f"<html><head><style>{css}</style></head><body><p>a</p></body></html>"
    assert inlined(source, "body") == source.replace("<p>", '<p style="color: red;">')


def test_specificity_and_important_are_those_of_css() -> None:
    """The more specific rule counts, and an important one wins over the element's own style."""
    source = (
        "<style>#i{color:red}.b{color:blue}p{color:green;top:0!important}</style><p id=i class=b>"
        '<p style="top:1px">'
    )
    result = inlined(source, "body")
    assert re.findall(r"color: (\w+)", result) == ["red", "green"]
    assert "top: 0 !important; top:1px" in result.replace("0!", "0 !")


def test_quotes_in_rules_do_not_end_the_attribute() -> None:
    """Names of fonts have some."""
    source = "<style>p{font-family:\"A B\",'C D'}</style><p><p style='top:0'>"
    result = inlined(source, "body")
    assert (
        result.count("&#x27;A B&#x27;, &#x27;C D&#x27;".replace(", ", ","))
        + result.count("&#x27;A B&#x27;, &#x27;C D&#x27;")
        == 2
    )


def test_placeholders_of_a_style_sheet_are_printed_in_the_elements() -> None:
    """They are values as everywhere, whole or as part of a value."""
    source = (
        '{% set w = 3 %}<style>p{color:{{ brand | default("red") }};width:{{ w }}px;'
        "background:#{{ hex }}}</style><p>a</p>"
    )
    result = inlined(source, "body")
    element = result.partition("</style>")[2]
    assert 'color: {{ brand | default("red") }};width: {{ w }}px;background: #{{ hex }};' in element
    text = source_of(element.replace("{{ w }}", "3"))
    values: dict[str, Any] = {"hex": "fff"}
    assert body_of(ENGINE, text, values).startswith('<p style="color: red;width: 3px;')


@each(
    ("source", "kind"),
    [
        ("<p>a</p>", "no_styles"),
        ("<style></style><p>a</p>", "no_styles"),
        ('{% extends "layout" %}{% block a %}<p>a</p>{% endblock %}', "no_styles"),
        (f'{STYLE}<p class="{{{{ c }}}}">', "inline_css"),
        (f'{STYLE}<p class="a {{% if c %}}b{{% endif %}}">', "inline_css"),
        (f'{STYLE}<p {{% if c %}}class="a"{{% endif %}}>', "inline_css"),
        (f'{STYLE}<p {{% if c %}}style="top:0"{{% endif %}}>', "inline_css"),
        ("<style>{% if a %}p{color:red}{% endif %}</style><p>", "inline_css"),
        ('<style>{% include "css" %}</style><p>', "inline_css"),
        ("<style>p{color:{{ c }}}</style>{% for c in l %}<p>{% endfor %}", "inline_css"),
        ("<style>p{color:{{ c }}}</style>{% set c = 1 %}<p>", "inline_css"),
        ("{% if a %}<style>p{color:red}</style>{% endif %}<p>", "inline_css"),
        ("{% if a %}{% else %}<style>p{color:red}</style>{% endif %}<p>", "inline_css"),
        ("{% for a in b %}<style>p{color:red}</style>{% endfor %}<p>", "inline_css"),
        ("<style>p.{{ k }}{color:red}</style><p class=a>", "inline_css"),
        ("<style>{{ k }} p{color:red}</style><p class=a>", "inline_css"),
        ("<style>p:empty{color:red}</style><p>{{ x }}</p>", "inline_css"),
        ("<style>p~p{color:red}</style>{% if a %}<p>1</p>{% endif %}<p>2</p>", "inline_css"),
        ("<style>h1+p{color:red}</style>{% if a %}<h1>1</h1>{% endif %}<p>2</p>", "inline_css"),
        ("<style>p:has(b){color:red}</style><p>{% if a %}<b>1</b>{% endif %}</p>", "inline_css"),
        (
            "<style>p:first-child{top:0}</style><i>{% if a %}<p>{% else %}<b>{% endif %}<p></i>",
            "inline_css",
        ),
        ("<style>p{color:{{ c }}}</style>{% with c = 1 %}<p>{% endwith %}", "inline_css"),
        ("<style>p{color:{{ c }}}</style>{% macro m(c) %}<p>{% endmacro %}", "inline_css"),
    ],
)
def test_what_cannot_be_inlined_is_refused(source: str, kind: str) -> None:
    """Which rules apply, and what a placeholder means, must be the same in every render."""
    with pytest.raises(SourceError) as caught:
        inlined(source, "translations.de.body")
    problem = caught.value.problem
    assert (caught.value.code, problem["type"]) == (Code.TEMPLATE_SYNTAX, kind)
    assert problem["path"] == "translations.de.body"
    assert kind == "no_styles" or problem["line"] == 1


def test_nothing_is_loaded() -> None:
    """Neither style sheets nor files: the source is all there is."""
    source = (
        '<link rel="stylesheet" href="http://127.0.0.1:9/a.css"><style>@import url("/etc/passwd");'
        "p{color:red}</style><p>"
    )
    assert inlined(source, "body") == source.replace("<p>", '<p style="color: red;">')


@each(
    ("css", "row"),
    [
        ("tr:nth-child(odd) td { color: red }", "<tr><td>{{ i }}</td></tr>"),
        ("td, tr:first-child td { color: red } td { margin: 0 }", "<tr><td>{{ i }}</td></tr>"),
        ("tr + tr td { border: 0 }", "<tr><td>{{ i }}</td></tr>"),
        ("tr:last-child { border: 0 }", "<tr><td>{{ i }}</td></tr>"),
    ],
)
def test_a_rule_that_counts_what_a_loop_repeats_is_refused(css: str, row: str) -> None:
    """The page has it once when it is inlined, and every row would look like the first."""
    page = f"<style>{css}</style><table>{{% for i in l %}}{row}{{% endfor %}}</table>"
    with pytest.raises(SourceError, match="what else is on the page") as caught:
        inlined(page, "body")
    assert caught.value.problem["column"] > len(css)


def test_a_rule_that_counts_within_a_row_is_inlined() -> None:
    """Each row of the loop has it."""
    page = (
        "<style>td:last-child { color: red } @media (width < 1px) { tr + tr { margin: 0 } }</style>"
        "<table>{% for i in l %}<tr><td>{{ i }}</td><td>x</td></tr>{% endfor %}</table>"
    )
    assert '<td>{{ i }}</td><td style="color: red;">x</td>' in inlined(page, "body")


@each(
    "source",
    [
        "<style>p:empty{color:red}</style><p></p>{% if a %}<b>{{ x }}</b>{% endif %}",
        "<style>p+p{color:red}</style>{% if a %}<b>c</b>{% endif %}<p>1</p><p>2</p>",
        "<style>.a{color:red}</style>{% if a %}<p class=a>1</p>{% endif %}",
        "<style>p:first-child{color:red}</style><p>1</p>{% if a %}<p>2</p>{% endif %}",
        "{% set c = 1 %}<style>p{color:red}</style><p>{{ c }}</p>",
    ],
)
def test_rules_that_no_condition_can_change_are_inlined(source: str) -> None:
    """What stands before, beside and within the element is the same in every render."""
    assert "style=" in inlined(source, "body")
