"""The lexer of tags: it sees what the engine sees, and changes nothing else."""

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st
from minijinja import Environment, TemplateError

from tasks.rendering.tags import COMMENT_START, Kind, Tag, code, prepared, tags
from tests.support.cases import each

SETTINGS = settings(max_examples=150, deadline=None)
OURS = Environment(comment_start_string=COMMENT_START, keep_trailing_newline=True)
JINJA = Environment(keep_trailing_newline=True)

# What sources are made of, whole and broken, in any order.
PIECES = (
    *(
        "text",
        " ",
        "\n",
        "\r\n",
        "\t",
        "ä😀",
        "{",
        "}",
        "%",
        "#",
        "'",
        '"',
        "\\",
        "-",
        "+",
        "(",
        "]",
    ),
    *("{{ 1 }}", "{{1}}", "{{- 1 -}}", "{{+ 1 +}}", "{{ '}}' }}", '{{ "%}" }}', "{{ '{{' }}"),
    *(
        "{{ '\\'}}' }}",
        '{{ "\\"}}" }}',
        "{{ '{#' }}",
        "{{ '#}' }}",
        "{{ '{% raw %}' }}",
        "{{ '\n' }}",
    ),
    *("{{ {} }}", "{{ {'a': {'b': 1}} }}", "{{{'a': {'b': 1}}}}", "{{ {'a': [(1,)]}['a'] }}"),
    *("{{ 1 - -1 }}", "{{ 1 -}}", "{{ 5 % 3 }}", "{{ -1 }}", "{{ [1]|map('string')|join }}"),
    *("{% if true %}", "{%- if true -%}", "{%+ if 1 +%}", "{% if '%}' %}", "{% if {'a': 1} %}"),
    *(
        "{% endif %}",
        "{%- endif -%}",
        "{%endif%}",
        "{% set a = '#}' %}",
        "{% set a = {'b': '}}'} %}",
    ),
    *("{% raw %}", "{%- raw -%}", "{%raw%}", "{% endraw %}", "{%-endraw-%}", "{%  endraw  %}"),
    *("{# comment #}", "{#- comment -#}", "{##}", "{# {{ 1 }} #}", "{# {% raw %} #}", "{# ' #}"),
    *("{#a#}", "{# { #}", "{# a { b #}", "{#", "#}", "{{", "}}", "{%", "%}", "{#}", "{ #", "{#-"),
    *("@media{#a{b:c}}", "@media print{#menu{display:none}}", "a{#b.c>d,e{f:g}}", "{#a{{ 1 }}}"),
    *("{#a{b:{{ 1 }}}}", "{#a{% if true %}", "{#x_y-z{", "{#a{#b{c:d}}}", "{#a b{c:d}#}"),
)
SOURCES = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


def compiles(environment: Environment, source: str) -> bool:
    """Tell whether a source compiles."""
    try:
        environment.undeclared_variables_in_str(source)
    except TemplateError:
        return False
    return True


def rendered(environment: Environment, source: str) -> str | None:
    """Render a source; None if it compiles and does not render."""
    try:
        return environment.render_str(source)
    except TemplateError:
        return None


def between(source: str) -> list[tuple[str, bool]]:
    """Return the texts around the tags of a source, and whether they are raw."""
    texts, last, raw = [], 0, False
    for tag in tags(source):
        texts.append((source[last : tag.start], raw))
        last, raw = tag.end, tag.inner == "raw" and tag.kind is Kind.BLOCK
    return [*texts, (source[last:], raw)]


@SETTINGS
@given(SOURCES)
@example("{{ '{#' }}{# {{ '#}' }}")
@example("a{#b{c:d}}{# e #}")
@example("{% raw %}{# {{ '{% endraw %}")
@example("{#a{b:c}{# d #}")
@example("{{ {'a': '}}'} }}\r\n{%- raw %}\r\n{{ %}{% endraw -%}\r\n")
def test_no_tag_is_missed_and_none_is_invented(source: str) -> None:
    """What is left between the tags has no syntax; what is taken for a tag is one."""
    if not compiles(OURS, prepared(source)):
        return
    for text, raw in between(source):
        if not raw:
            # Each by itself, for two texts may make a tag that the source has not.
            assert prepared(text) == text
            assert rendered(OURS, text) == text
    found: list[Tag | None] = [*tags(source), None]
    for tag, following in pairwise(found):
        assert tag is not None
        written = source[tag.start : tag.end]
        assert tag.inner in written
        if tag.kind is Kind.PRINT:
            assert (written[:2], written[-2:]) == ("{{", "}}")
            assert compiles(OURS, written)
        elif tag.kind is Kind.COMMENT:
            assert (written[:2], written[-2:]) == ("{#", "#}")
            assert written.index("#}", 2) == len(written) - 2
        else:
            assert (written[:2], written[-2:]) == ("{%", "%}")
            assert tag.inner.startswith(tag.word)
            assert tag.word in {"if", "endif", "set", "raw", "endraw"}
            if tag.word == "raw":
                assert following is not None
                assert following.word == "endraw"


@SETTINGS
@given(SOURCES)
@example("{{ 1 }}{# a #}{{ 2 }}")
@example("a\r\n{#- b -#}\r\nc")
def test_preparing_changes_no_rendering(source: str) -> None:
    """What Jinja renders, comments included, is rendered the same, unless it is a style sheet's."""
    ours = prepared(source)
    assert len(ours.encode()) == len(source.encode())
    assert ours.replace(COMMENT_START, "{#") == source
    if any("{#" in text for text, raw in between(source) if not raw):
        return
    assert compiles(OURS, ours) is compiles(JINJA, source)
    assert rendered(OURS, ours) == rendered(JINJA, source)


@SETTINGS
@given(SOURCES, st.sampled_from(["", "\n", "\r\n", " ", "a"]))
def test_text_stays_as_it_is(source: str, end: str) -> None:
    """Line ends too: bytes outside of tags are those that the author wrote."""
    plain = source.replace("{", "(") + end
    assert not tags(plain)
    assert prepared(plain) == plain
    assert rendered(OURS, plain) == plain


@SETTINGS
@given(SOURCES)
def test_places_are_in_order_and_apart(source: str) -> None:
    """Whatever the source, broken ones too."""
    last = 0
    for tag in tags(source):
        assert last <= tag.start < tag.end <= len(source)
        last = tag.end
    for start, text in code(source):
        assert len(text) == len(source[start : start + len(text)])
        assert source[start : start + 2] == text[:2]


@each(
    ("source", "expected"),
    [
        ("a{{ b }}c", [Tag(Kind.PRINT, 1, 8, "b", "")]),
        ("{{- b|c('}}') -}}", [Tag(Kind.PRINT, 0, 17, "b|c('}}')", "")]),
        ("{{ {'a': {}} }}", [Tag(Kind.PRINT, 0, 15, "{'a': {}}", "")]),
        ('{%- include "a" -%}', [Tag(Kind.BLOCK, 0, 19, 'include "a"', "include")]),
        ("{%if a%}", [Tag(Kind.BLOCK, 0, 8, "if a", "if")]),
        ("{#- a -#}", [Tag(Kind.COMMENT, 0, 9, "a", "")]),
        (
            "{% raw %}{{ a }}{% endraw %}",
            [
                Tag(Kind.BLOCK, 0, 9, "raw", "raw"),
                Tag(Kind.BLOCK, 16, 28, "endraw", "endraw"),
            ],
        ),
        ("{{ a", []),
        ("{% a", []),
        ("{# a", []),
        ("{{ 'a }}", []),
        ("{# a #}{{ b", [Tag(Kind.COMMENT, 0, 7, "a", "")]),
    ],
)
def test_tags_are_found_with_kind_and_position(source: str, expected: list[Tag]) -> None:
    """Its kind, its place, what stands in it, and the first word of a block."""
    assert list(tags(source)) == expected


@each(
    "style",
    [
        "@media{#a{b:c}}",
        "@media print{#menu{display:none}#footer{color:red}}",
        "@media (max-width:600px){#a .b>c,#d:hover{e:f}}",
        "@supports(display:grid){#_x{y:z}}",
    ],
)
def test_a_minified_style_sheet_is_no_comment(style: str) -> None:
    """Alone, beside comments and prints, and with prints in it."""
    for source, expected in (
        (style, style),
        (f"{{# a #}}{style}{{# b #}}{{{{ 1 }}}}", f"{style}1"),
        (f"{style}{style}", style * 2),
        (style.replace(":", ":{{ 1 }}", 1), style.replace(":", ":1", 1)),
    ):
        assert rendered(OURS, prepared(source)) == expected


def test_code_has_no_strings_and_no_comments() -> None:
    """Names of filters are looked for in what is left, whose places are the source's."""
    source = 'a{{ x|b(\'c|d\') }}{# {{ e }} #}{% if "f\\"g" is h %}{% raw %}{{ i }}{% endraw %}'
    found = list(code(source))
    assert [text for _, text in found] == [
        "{{ x|b(     ) }}",
        "{% if        is h %}",
        "{% raw %}",
        "{% endraw %}",
    ]
    assert [source[start : start + 2] for start, _ in found] == ["{{", "{%", "{%", "{%"]


@each("piece", ["{#", "{{", "{%", "'", "{# '", "{{ '", "{#a{", "{{ {", "#}", "{% raw %}"])
def test_a_long_broken_source_is_read_in_time(piece: str) -> None:
    """A body of 256 KiB, however it is broken, takes no longer than the suite has patience."""
    source = piece * (256 * 1024 // len(piece))
    tags(source)
    assert len(prepared(source)) == len(source)
