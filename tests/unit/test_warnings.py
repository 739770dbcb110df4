"""Warnings: what is probably not meant, with its place and what to do."""

import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rendering.warnings import (
    lost_languages,
    output_warnings,
    source_warnings,
    unused_variables,
)
from tasks.rendering.warnings.codes import REMEDIES, Code
from tests.support.alarm import LONG, soon
from tests.support.cases import each

PAGE = '<html lang="{{ language }}" dir="ltr">'


def told(source: str, *, html: bool = True) -> list[tuple[str, str]]:
    """Return the code of each warning and what stands at its place."""
    lines = source.split("\n")
    return [
        (warning["code"], lines[warning["line"] - 1][warning["column"] - 1 :])
        for warning in source_warnings(source, "body", html=html)
    ]


def of_output(kind: str, source: str = "", /, **parts: str) -> list[dict[str, Any]]:
    """Return the warnings of a rendered text."""
    return list(output_warnings(kind, parts, source, "body", "text"))


@each(
    "placeholder",
    [
        *("{name}", "{ name }", "{user.name}", "{first name}", "{0}", "{}", "{name|default}"),
        *("{n, plural, one}", "{$name}", "{!Contact.Name}", "{ { name } }", "{ % if x %}"),
        *("((name))", "((first name))", "((name??hidden))", "*|FNAME|*", "*|IF:FNAME|*"),
        *("%%name%%", "%%=v(@name)=%%", "%recipient.name%", "%(name)s", "%1$s", "%s", "%{name}"),
        *("[[name]]", "[[data:name:there]]", "[firstname,fallback=there]", "[% name %]"),
        *("${name}", "${user.name}", "#{name}", "@{name}", "<%= name %>", "<% if x %>"),
        *("&lt;%= name %&gt;", "%7B%7B id %7D%7D", "%7b%7bid%7d%7d", "%7Bid%7D"),
        *("&#123;&#123;id&#125;&#125;", "&lbrace;&lbrace;id&rbrace;&rbrace;"),
        *("[[+name]]", "[[*name]]", "[[!+name]]", "[[+name:default=`you`]]", "((?name))", "#name#"),
        *("{*name*}", "[NAME]", "[FIRST NAME]", "[ORDER_NUMBER]", "[First Name]", "[Your name]"),
        *("$name$", "__NAME__", "[=name]", "[$name]"),
        *("<<name>>", "##name##", "@@name@@", "\uff5b\uff5bname\uff5d\uff5d"),
    ],
)
def test_a_placeholder_of_another_engine_is_warned_of(placeholder: str) -> None:
    """At its first place, once, in text and in addresses; in subjects and texts as in HTML."""
    source = f"<p>Dear {placeholder}, {{{{ n }}}}{{# c #}}\n{placeholder}</p>"
    assert told(source) == [("foreign_placeholder", source[8:].partition("\n")[0])]
    assert told(source, html=False) == told(source)
    if '"' not in placeholder and "<" not in placeholder:
        link = f'<a href="https://example.org/?a={placeholder}">'
        assert [code for code, _ in told(link)] == ["foreign_placeholder"]


@each(
    "source",
    [
        "Dear {{ name }}, {{ {'a': b} }}{% if x %}{y{% endif %}",
        "100% of 50% and 5 %, $5 #1 :) :-{ [x] (a) ((1)) *a* **b** a|b",
        "https://example.org/%20%C3%BCber?a=%7E",
        "${{ price }} #{{ id }} {{ n }}% ({{ a }}) [{{ b }}] %{{ c }}",
        "<style>a{b}@media x{c{d:e}}</style><script>f(function(){return})</script>",
        "{% raw %}{name} %%x%% [[y]]{% endraw %}",
        '{"a": {"b": [1]}}',
        "[URGENT] [DRAFT] [1] [x] [NAME](https://example.org/) [LINK][1] [URL]: /a",
        "[b]x[/b] [code]x[/code]",
        "#sale #now, #1 of #2, 5$ and 6$, $5$, __bold__ and __init__, snake__CASE__x",
        "[[1]] :-[ ]-: {* *} (see *here*) ((a) or (b)) [see: name]",
        "{# {name} #}",
        "<p style='{{ x }}'>mail@@example</p>",
    ],
)
def test_other_text_is_not_taken_for_a_placeholder(source: str) -> None:
    """Prices, percentages, JSON, styles, scripts, and what is marked as raw."""
    assert told(source) == []


@each(
    ("source", "codes"),
    [
        ("<html>", ["missing_lang", "missing_dir"]),
        ("<HTML class='a'>", ["missing_lang", "missing_dir"]),
        ("<html lang='en'>", ["missing_dir"]),
        ("<html lang='' dir=' '>", ["missing_lang", "missing_dir"]),
        ("<html lang dir>", ["missing_lang", "missing_dir"]),
        ("<html xml:lang='en' dir='rtl'>", []),
        (PAGE, []),
        ("<html{% if x %} lang='en'{% endif %} dir='ltr'>", []),
        ("<p>no page</p>", []),
        ("<img src='https://a/b'>", ["missing_alt"]),
        ("<img src='a' alt>", []),
        ("<img src='a' alt=''><img alt='{{ x }}'>", []),
        ("<input type='image'><input type=text>", ["missing_alt"]),
        ("<!--[if mso]><img><![endif]--><!-- <img> -->", ["missing_alt"]),
        ("<a href='http://a/'>", ["insecure_link"]),
        ("<a href='HTTP://{{ host }}/'>", ["insecure_link"]),
        ("<img alt='' srcset='a 1x, http://b 2x'>", ["insecure_link"]),
        ("<a href='https://a/?u=https://b'>http://a</a>", []),
        (f"{PAGE[:-1]} xmlns='http://www.w3.org/1999/xhtml'>", []),
        ("<a href='{{ url }}'><style>@import 'http://a'</style>", []),
    ],
)
def test_a_page_is_warned_of_for_what_it_lacks(source: str, codes: list[str]) -> None:
    """Language and direction of the page, texts of images, safe links."""
    assert [code for code, _ in told(source)] == codes


def test_links_in_texts_are_warned_of() -> None:
    """An SMS has links too."""
    assert told("see http://a.example now", html=False) == [
        ("insecure_link", "http://a.example now")
    ]


def test_links_that_come_from_values_are_warned_of() -> None:
    """Once, without a place; those of the source have been told."""
    page = '<a href="http://a.example/"></a><a href="http://b.example/"></a>' * 2
    (warning,) = of_output("in_app", '<a href="http://a.example/">', body=page)
    assert (warning["code"], warning["path"], "line" in warning) == ("insecure_link", "body", False)
    assert "b.example" in warning["message"]
    (warning,) = of_output("push", "{{ x }}", body="see http://a.example")
    assert warning["code"] == "insecure_link"


def test_a_body_that_gmail_clips_is_warned_of_with_its_size() -> None:
    """In bytes, over 102 KB, in mail only."""
    assert of_output("email", body="ä" * 52_224, text="a") == []
    (warning,) = of_output("email", body="ä" * 52_224 + "a", text="a")
    assert warning["code"] == "large_body"
    assert "104,449 bytes" in warning["message"]
    assert of_output("in_app", body="a" * 200_000) == []


def test_an_empty_text_part_is_warned_of() -> None:
    """Blanks are empty too."""
    (warning,) = of_output("email", body="<img>", text=" \n")
    assert (warning["code"], warning["path"]) == ("empty_text", "text")


@each(
    ("body", "named"),
    [
        ("\u2019a" + "b" * 80, ["'\u2019' (U+2019 RIGHT SINGLE QUOT", "2 segments", "of 1"]),
        ("ą\u2013" + "b" * 80, ["'\u2013' (U+2013", "'ą' (U+0105"]),
        ("😀" + "b" * 80, ["U+1F600"]),
        ("€" + "b" * 159, ["'€' (U+20AC", "2 segments of GSM-7"]),
        ("\u2019" + "b" * 160, ["3 segments", "of 2"]),
    ],
)
def test_a_character_that_costs_a_segment_is_named(body: str, named: list[str]) -> None:
    """With its code point, its place in the source, and what it costs."""
    (warning,) = of_output("sms", f"{{{{ x }}}}{body}", body=body)
    assert warning["code"] == "sms_character"
    assert all(part in warning["message"] for part in named)
    assert (warning["line"], warning["column"]) == (1, 8)
    (warning,) = of_output("sms", "{{ x }}", body=body)
    assert "line" not in warning


@each(
    "body",
    ["", "a" * 500, "\u2019" + "a" * 60, "ąćęłńóśźż" * 20, "€" + "a" * 100, "Привет" * 40],
)
def test_texts_that_need_their_segments_are_not_warned_of(body: str) -> None:
    """One segment, plain long ones, and languages with an alphabet of their own."""
    assert of_output("sms", body, body=body) == []


def test_a_text_that_is_one_character_too_long_is_warned_of() -> None:
    """With the last one, whatever the alphabet."""
    (warning,) = of_output("sms", "", body="a" * 160 + ".")
    assert "'.' (U+002E FULL STOP)" in warning["message"]
    (warning,) = of_output("sms", "", body="ąćęłńóśźż" * 7 + "abcdefgh")
    assert "2 segments of UCS-2 in the place of 1" in warning["message"]


@each(
    ("body", "named"),
    [
        ("a" * 161, "'a' (U+0061"),
        ("ж" * 71, "'ж' (U+0436"),
        ("€" * 81, "'€' (U+20AC"),
        ("😀" * 36, "U+1F600"),
        (f"a{'.a' * 80}", "'a' (U+0061"),
    ],
)
def test_the_last_character_is_named_as_such(body: str, named: str) -> None:
    """At its own place, in texts of one letter as in others."""
    for source, column in ((body, len(body)), (f"{{{{ x }}}}{body[-1]}", 8)):
        (warning,) = of_output("sms", source, body=body)
        assert warning["message"].startswith("the last character, ")
        assert named in warning["message"]
        assert warning["column"] == column
    (warning,) = of_output("sms", f"{body[-1]}{{{{ x }}}}", body=body)
    assert "line" not in warning


def test_declared_variables_that_no_text_uses_are_warned_of() -> None:
    """By their index; objects and their members lead to each other, and arrays to their items."""
    names = ["a", "b.c", "d", "items[].sku", "lines[].sku", "ab"]
    warned = list(unused_variables(names, {"a", "b", "d.e", "items"}, "variables"))
    assert [warning["path"] for warning in warned] == ["variables[4]", "variables[5]"]
    assert "'ab'" in warned[1]["message"]


def test_lost_languages_are_warned_of() -> None:
    """Those of the previous version only, in order."""
    warned = list(lost_languages(["fr", "de", "en"], {"en", "es"}))
    assert [warning["path"] for warning in warned] == ["translations.de", "translations.fr"]


def test_every_warning_has_a_remedy_and_is_documented() -> None:
    """The table of docs/messages.md has each code, and no other."""
    assert set(REMEDIES) == set(Code)
    text = (Path(__file__).parents[2] / "docs" / "messages.md").read_text()
    table = text.partition("## Warnings")[2].partition("```")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", table, re.MULTILINE)
    assert re.findall(r"\w+", " ".join(rows)) == list(Code)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from([*"{}%#[]()<>*|$&; a\n", "{{ x }}", "<img ", "http://"])).map("".join)
)
def test_any_source_can_be_judged(source: str) -> None:
    """Broken ones too; each warning has a code, a message and a remedy."""
    for html in (True, False):
        for warning in source_warnings(source, "body", html=html):
            assert {"code", "path", "message", "remedy", "line", "column"} == set(warning)


@each(
    "piece",
    [
        "{",
        "<%",
        "%7B",
        "{ ",
        "((a ",
        "*|a",
        "[[a",
        "[[+a",
        "[A ",
        "#a",
        "$a",
        "__A",
        "%a",
        "{a, ",
        "&#123;",
        "http://",
        "<img ",
    ],
)
def test_a_long_source_is_judged_in_time(piece: str) -> None:
    """In proportion to its length."""
    source = (piece * LONG)[:LONG]
    with soon():
        for _ in zip(range(100), source_warnings(source, "body", html=True), strict=False):
            pass
