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
    "source",
    [
        *(
            "{{1}}",
            "Code {{ 2 }}",
            "Hi %@!",
            "{{ n | default('{name}') }}",
            "{{ '*|FNAME|*' ~ n }}",
        ),
        *("{{ n | plural(one='{n} mail', other='{n} mails') }}", "{% set x = '((name))' %}{{ x }}"),
    ],
)
def test_placeholders_in_quotes_and_numbers_in_braces_are_named(source: str) -> None:
    """WhatsApp has such placeholders: its {{1}} would be printed as 1."""
    assert {code for code, _ in told(source, html=False)} == {"foreign_placeholder"}


@each(
    "source",
    [
        *(
            '{"a": {}, "b": [{}]}',
            "{{ '%s' | format(n) }}{{ 12345 }}",
            "{{ t | replace('{name}', n) }}",
            "{{ n ~ '{' }}",
        ),
        "{% raw %}{{1}}{% endraw %}{{ items[1] }}{{ 10 - 1 }}",
    ],
)
def test_quoted_texts_of_other_use_are_not_named(source: str) -> None:
    """What is looked for, and patterns of the filter format."""
    assert told(source, html=False) == []


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
        *("<?= $name ?>", "<?php echo $name ?>", "&lt;?= $name ?&gt;", "$user.name", "$!name"),
        *("$first_name", "$!{name}", "$[name]", "$(name)", "@FIRSTNAME@", "@(Model.Name)"),
        *(
            "@user.name",
            "[name]",
            "[first_name]",
            "[user.name]",
            "[orderId]",
            "[!name!]",
            "[+name+]",
        ),
        *("{/name}", "{/if}", "{:else}", "{if $x}", "{user['name']}", "{name!}", "{0:C}"),
        *("<NAME>", "<name>", "<first_name>", "&lt;name&gt;", "-name-", "-firstName-", ":name"),
        *(":order_id", "~name~", "|FIRST_NAME|", "!name!", "^name^", "__name__", "__first_name__"),
        *("\xabname\xbb", "\xabFirstName\xbb", "\u2039first_name\u203a", "&&name&&"),
        *("&amp;&amp;name&amp;&amp;", "<#name>", "<#if x>", "</#if>", "&lt;#name&gt;"),
        *("[#if x]", "<cfoutput>", "<TMPL_VAR NAME=x>", "@name@"),
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
        "a@b.example @ada @ada.lovelace @ada@mastodon.example @SHOUT, mail me @home, @TODO",
        ":smile: :thumbs_up: :woman_in_x::skin-tone-2: :) :D 10:30 a:b re:name key:value",
        "$AAPL, $BRK.B rose; US$5, A$AP, Ke$ha, $ada, $5.00, $1.5m, $$, \\$name$x",
        "[link](https://a.example) [first_name](/a) [ref]: /a, [a][b], [see above], [sic]",
        "/a?filter[created_at]=1&data[0]=x, array[user_id], [e.g.], [email protected]",
        "<@U024BE7LH> <#C024BE7LR|general> <!here> <https://a.example|b> <a@b.example> a < b > c",
        "<svg><linearGradient><clipPath></svg><o:p></o:p><my-name></my-name><?xml version='1.0'?>",
        "~strike~ ~5% ~/name ~~name~~ |a|b| || - name - -- Ada well-known- -1- -END- -DRAFT- +1+",
        "\xab bonjour \xbb \xabBonjour\xbb \xabName\xbb \xabiPhone\xbb \xab\u041f\u0440\xbb",
        "a&&b&&c R&D AT&T&Co &amp;name&amp; &nbsp;name&nbsp;",
        "f(){return x} x=>{} function(){} H{2}O a{color:red} C# #end @media print @font-face",
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
        ("<html><body lang='en' dir='ltr'>", []),
        ("<html lang='ar'><body dir='rtl'>", []),
        ("<html dir='ltr'><body lang=''>", ["missing_lang"]),
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
    assert "2 segments of UCS-2 instead of 1" in warning["message"]


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
        "<?=",
        "a_",
        "-a_",
        "$a.",
        "@(a.",
        "&&a",
        "{if a ",
        "{a[",
        "[#if ",
        "&lt;#a ",
    ],
)
def test_a_long_source_is_judged_in_time(piece: str) -> None:
    """In proportion to its length."""
    source = (piece * LONG)[:LONG]
    with soon():
        for _ in zip(range(100), source_warnings(source, "body", html=True), strict=False):
            pass


@each(
    ("page", "language", "codes"),
    [
        ("<html lang='en' dir='ltr'>", "de", ["missing_lang"]),
        ("<html lang='en' dir='ltr'>", "ar", ["missing_lang", "missing_dir"]),
        ("<html lang='ar'><body dir='ltr'>", "ar-EG", ["missing_dir"]),
        ("<html lang='en' dir='rtl'>", "en", ["missing_dir"]),
        ("<html lang='de-AT' dir='ltr'>", "de-CH", []),
        ("<html lang='pt_BR' dir='auto'>", "pt-BR", []),
        ("<html lang='he' dir='RTL'>", "he", []),
        ("<html lang='no' dir='ltr'>", "nb", []),
        ("<html lang='english' dir='ltr'>", "en", ["missing_lang"]),
        ("<html lang='{{ language }}' dir='{{ dir }}'>", "fa", []),
        ("<html lang='{% if a %}de{% endif %}' dir='ltr'>", "de", []),
        ("<html lang='en' dir='ltr'>", "", []),
    ],
)
def test_a_page_names_the_language_of_its_text(page: str, language: str, codes: list[str]) -> None:
    """A translation copied from the original often keeps the language of the original."""
    found = source_warnings(page, "body", html=True, language=language)
    assert [warning["code"] for warning in found] == codes
