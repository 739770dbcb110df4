"""Suggested fixes for syntax errors: pure, no I/O.

Most syntax errors are the syntax of another language: JavaScript, Handlebars, Liquid, a word
processor's quotes.
"""

import re
from typing import Final

from tasks.rendering.hints.tags import OPENING, not_closed, of_tag
from tasks.rendering.tags import STRING, Kind, tags

# Each is looked for at the place of the error, or at the end of what is before it.
_AT: Final = (
    ("&&", "write 'and'"),
    ("||", "write 'or'"),
    ("??", "write default, as in {{ name | default('there') }}"),
    ("?.", "write '.': a member that may be missing has a default, as in {{ a.b | default('c') }}"),
    ("===", "write '=='"),
    ("!==", "write '!='"),
    ("<>", "write '!='"),
    ("-->", "the tag is not closed: write }} or %} at its end"),
    ("->", "write '.', as in user.name"),
    ("<=>", "write ==, < or >"),
    ("+=", "write {% set n = n + 1 %}"),
    ("-=", "write {% set n = n - 1 %}"),
    ("|>", "write |, as in {{ name | upper }}"),
    ("=>", "write {% for key, item in object | items %}"),
    ("++", "write {% set n = n + 1 %}; in a loop, the number is loop.index"),
    ("--", "write {% set n = n - 1 %}"),
    ("\u00d7", "write *"),
    ("\u00f7", "write /"),
    ("\u2260", "write !="),
    ("\u2264", "write <="),
    ("\u2265", "write >="),
    ("\u2026", "write ..., or the text in quotes"),
    ("?", "write {{ yes if condition else no }}"),
    ("!", "write 'not'"),
    ("&", "write 'and', or ~ to join texts"),
    (";", "each tag holds one expression"),
    ("#", "blocks are {% if name %} … {% endif %} and {% for item in items %} … {% endfor %}"),
    ("/", "blocks end with {% endif %} and {% endfor %}"),
    (">", 'a partial is included by {% include "template_id" %}'),
    ("$", "names have no '$'"),
    ("@", "names have no '@'; the number of a loop is loop.index"),
    ("^", "write 'not'; a power is **"),
    ("`", "quotes of a text are ' and \""),
    ("\\", "a backslash is allowed within quotes only"),
    ("\xa0", "this is a no-break space: type a usual space"),
    *(
        (character, f"U+{ord(character):04X} is a space of print: type a usual space")
        for character in "\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000"
    ),
    *(
        (character, f"U+{ord(character):04X} is an invisible character: delete it")
        for character in "\xad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
    ),
)
_QUOTES: Final = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb\u2039\u203a"
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2212"
COLON: Final = "arguments of a filter belong in parentheses, as in {{ day | date('short') }}"
STATEMENTS: Final = {
    "apply": "write {% filter upper %} … {% endfilter %}",
    "assign": "write {% set name = value %}",
    "blocktrans": "texts of other languages are translations of the version",
    "capture": "write {% set name %} … {% endset %}",
    "comment": "a note is {# … #}",
    "case": "write {% if … %} … {% elif … %} … {% endif %}",
    "const": "write {% set name = value %}",
    "cycle": "write {{ 'odd' if loop.index is odd else 'even' }}",
    "decrement": "write {% set n = n - 1 %}",
    "each": "write {% for item in items %} … {% endfor %}",
    "elseif": "write {% elif … %}",
    "elsif": "write {% elif … %}",
    "end": "blocks end with {% endif %}, {% endfor %} and so on",
    "echo": "write {{ name }}",
    "fi": "write {% endif %}",
    "foreach": "write {% for item in items %} … {% endfor %}",
    "increment": "write {% set n = n + 1 %}",
    "layout": 'write {% extends "template_id" %}',
    "let": "write {% set name = value %}",
    "load": "load is not needed: leave it out",
    "lorem": "write the text out",
    "now": "times are values: send one, and write {{ moment | datetime('short') }}",
    "partial": 'write {% include "template_id" %}',
    "print": "write {{ name }}",
    "render": 'write {% include "template_id" %}',
    "section": "write {% block name %} … {% endblock %}",
    "spaceless": "whitespace is removed by a minus within a tag, as in {%- if name -%}",
    "switch": "write {% if … %} … {% elif … %} … {% endif %}",
    "then": "leave it out: the text follows {% if name %}",
    "trans": "texts of other languages are translations of the version",
    "translate": "texts of other languages are translations of the version",
    "unless": "write {% if not … %} … {% endif %}",
    "url": "write the address out, or send it as a value",
    "use": 'write {% include "template_id" %}',
    "var": "write {% set name = value %}",
    "verbatim": "write {% raw %} … {% endraw %}",
    "when": "write {% elif … %}",
    "while": "write {% for item in items %} … {% endfor %}",
}
_KNOWN: Final = (
    "statements are if, elif, else, for, set, include, extends, block, macro, call, filter, with "
    "and raw; a value is printed by {{ name }}"
)
_WORDS: Final = (
    (
        r"\w'$",
        r"[a-zA-Z]+\b[^'{}]*'",
        "an apostrophe ends a text in single quotes: write double quotes around it",
    ),
    (r"\b(?:NOT|Not)$", "", "write 'not'"),
    (
        r"\{%[-+]?\s*end\w+$",
        "",
        "the end of a block has no name: write {% endif %}, {% endfor %} and so on",
    ),
    (r"\belse$", r"if\b", "write {% elif … %}"),
    (
        r"\binclude\s+\S+(?:\s+with)?$",
        "",
        'a partial sees all values: write {% include "template_id" %}',
    ),
    (r"\bfor\s+\w+$", r"of\b", "write {% for item in items %}"),
    (r"\{\{-?\s*if$", "", "conditions belong in {% if … %} … {% endif %}"),
    (r"\{\{-?\s*for$", "", "loops belong in {% for item in items %} … {% endfor %}"),
    (r"\{\{-?\s*set$", "", "names are set by {% set name = value %}"),
    (r"\{\{-?\s*include$", "", 'a partial is included by {% include "template_id" %}'),
    (r"\|\s*\w+$", r"[:'\"]", COLON),
    ("", r"(?:AND|And)\b", "write 'and'"),
    ("", r"(?:OR|Or)\b", "write 'or'"),
    ("", r"(?:IN|In)\b", "write 'in'"),
    ("", r"(?:IS|Is)\b", "write 'is'"),
    ("", r"xor\b|XOR\b", "write (a or b) and not (a and b)"),
    ("", r"mod\b|MOD\b", "write %"),
    ("", r"div\b", "write //"),
    ("", r"eq\b|equals?\b|EQ\b", "write =="),
    ("", r"ne\b|neq\b|NE\b", "write !="),
    ("", r"gte\b|ge\b", "write >="),
    ("", r"lte\b|le\b", "write <="),
    ("", r"gt\b", "write >"),
    ("", r"lt\b", "write <"),
    ("", r"contains\b|includes\b|has\b", "write {% if 'a' in name %}"),
    ("", r"starts\b|startswith\b", "write {% if name is startingwith('a') %}"),
    ("", r"ends\b|endswith\b", "write {% if name is endingwith('a') %}"),
    ("", r"matches\b|like\b", "patterns are not supported: write 'in', startingwith or endingwith"),
    ("", r"then\b", "leave it out: the text follows {% if name %}"),
    ("", r"(?:limit|offset|reversed)\b", "write a slice, as in {% for item in items[:3] %}"),
    ("", r"as\b", "write {% for item in items %}"),
    ("", r"(?:empty|blank|null|nil|none)\b", "write {% if not name %}; with not, {% if name %}"),
    (r"\.\d+$", r"\w", 'a member whose name begins with a digit belongs in brackets: user["2fa"]'),
    (r"\b\d+$", r"\w", "names begin with a letter"),
    (r"\{\{-?\s*[\w.]+$", ":", "a member follows a dot: write user.name"),
    (r"\{\{-?\s*[\w.]+$", "", "a name has no spaces; texts are joined by ~"),
)
"""Patterns of what is before a word that is too many, and of the word: what to write."""
_PLACES: Final = (
    (
        r"\bfor\s+\w+\s*$",
        "",
        "write {% for item in items %}, or {% for key, item in object | items %}",
    ),
    ("", "mismatching name on block", "write the name in {% block name %}, or none"),
    ("", ".*defined twice", "give one of the blocks another name"),
    ("", ".*inside a loop", "it belongs within {% for item in items %} … {% endfor %}"),
    (r"\{\{$", r"unexpected `~", "whitespace is removed by a minus: write {{- name -}}"),
    ("", r"unexpected `\)", "no ( is open here: remove it"),
    ("", r"unexpected `\]", "no [ is open here: remove it, or write a name before it"),
    (
        "",
        r"unexpected `\.",
        "a value begins with a name, and its members follow, as in {{ user.name }}",
    ),
    (
        "",
        "unexpected (?:integer|float)",
        "names begin with a letter; two values need an operator between them",
    ),
    (r"\d$", "unexpected `,", "a decimal number has a point, as in 1.5"),
    ("", "unexpected `,", "a placeholder prints one value; texts are joined by ~"),
    ("", "bad string escape", r"a backslash in a text begins \n or \": write \\ for the character"),
    ("", "invalid integer", "send the number as a value"),
    ("", "expected call expression", "write {{ name }}, or {% call button() %} … {% endcall %}"),
    (r"\|\s*$", "", "a filter follows a value, as in {{ name | upper }}"),
    ("", r"unexpected `\|", "a filter follows a value, as in {{ name | upper }}"),
)
"""Patterns of what is before an error, and of the engine's words: what to write."""

_UNOPENED: Final = "no block before it is open for it to end or belong to"

_BLOCKS: Final = frozenset(
    {"autoescape", "block", "call", "filter", "for", "if", "macro", "raw", "set", "with"}
)
_NAMING: Final = re.compile(r"\{%[-+]?\s*(?:for|set)\s+\w+$")
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_TOO_EARLY: Final = (
    *("unexpected `}`", "unexpected `)`", "unexpected `]`", "unexpected `%`"),
    *("unexpected end of block", "unexpected end of variable block"),
)
_INCOMPLETE: Final = {
    "unexpected end of variable block": "the expression is incomplete: write {{ name }}, with a "
    "value after each operator and a filter after each |",
    "unexpected end of block, expected `(`": "write {% macro name(first, second) %}, or "
    "{% macro name() %}",
    "unexpected end of block": "the block is incomplete: write {% if name %}, "
    '{% for item in items %}, {% set name = value %} or {% include "template_id" %}',
    "unexpected `}`, expected identifier": "a name is missing after the dot: write user.name",
    "unexpected `}`, expected end of variable block": "a placeholder ends with two braces: "
    "write {{ name }}",
    "expected a filter": "the filter has no name: write {% filter upper %} … {% endfilter %}",
    "unknown end of block": "a block holds a statement, as in {% if name %}",
    "unexpected end of string": "a text has no end: write its closing quote",
}


def hint(source: str, place: int | None, detail: str) -> str | None:
    """Return what to write at ``place`` of a source; None if unknown.

    ``detail`` is what the engine says of it.
    """
    if place is None:
        return None
    unknown = re.fullmatch(r"unknown statement (\w+)", detail)
    if unknown is not None:
        return _of_statement(unknown[1], _open_block(source[:place]))
    whole = of_tag(source, place)
    if whole is not None:
        return whole
    rest = source[place : place + 10]
    if rest.startswith("=") and source.endswith("none", 0, place):
        return "none is a value: of plural, the form for 0 is exactly_0"
    return _of_name(source, place, detail, rest)


def _of_name(source: str, place: int, detail: str, rest: str) -> str | None:
    if rest.startswith("-") and _NAMING.search(source[max(0, place - 40) : place]):
        return "'-' is minus: a name has none, as in line_item"
    if detail.endswith("expected assignment operator"):
        return "write {% set name = value %}"
    if detail.startswith(("unexpected identifier", "unexpected string", "unexpected `:`")):
        return _of_words(source, place, rest)
    sign = _of_sign(source[max(0, place - 2) : place], rest)
    return sign or _of_end(source, place, detail) or _of_place(source, place, detail)


def _of_place(source: str, place: int, detail: str) -> str:
    """Return what is at a place of a tag, where nothing more is known."""
    before = source[max(0, place - 40) : place]
    for pattern, words, remedy in _PLACES:
        if re.search(pattern, before) and re.match(words, detail):
            return remedy
    return "write {{ name }}, {{ name | upper }} or {{ one + other }}"


def _of_end(source: str, place: int, detail: str) -> str | None:
    if detail.startswith(("unexpected end of input", "unexpected end of raw block")):
        return _unclosed(source)
    bracket = _open_bracket(source[:place]) if detail.startswith(_TOO_EARLY) else None
    if bracket is not None and not source.startswith(_CLOSING[bracket], place):
        return f"'{bracket}' is not closed: write {_CLOSING[bracket]} before the end of the tag"
    return next((text for start, text in _INCOMPLETE.items() if detail.startswith(start)), None)


def _open_bracket(before: str) -> str | None:
    """Return the innermost bracket that is open at the end of a source, within its last tag."""
    start = max(before.rfind("{{"), before.rfind("{%"))
    open_: list[str] = []
    for character in STRING.sub("", before[start + 2 :]) if start >= 0 else "":
        if character in _CLOSING:
            open_.append(character)
        elif open_ and character == _CLOSING[open_[-1]]:
            del open_[-1]
    return open_[-1] if open_ else None


def _unclosed(source: str) -> str | None:
    """Return which tag or block a source does not close."""
    every = tags(source)
    opening = OPENING.search(source, every[-1].end if every else 0)
    is_raw = bool(every) and every[-1].word == "raw"
    if opening is not None and not is_raw:
        return not_closed(source, opening.start())
    return _open_block(source)


def _open_block(source: str) -> str | None:
    """Return how to close the innermost block that is open at the end of a source."""
    open_: list[tuple[str, int]] = []
    for tag in tags(source):
        if tag.kind is not Kind.BLOCK:
            continue
        is_value = tag.word == "set" and "=" in tag.inner.partition("|")[0]
        if tag.word in _BLOCKS and not is_value:
            open_.append((tag.word, tag.start))
        elif open_ and tag.word == f"end{open_[-1][0]}":
            del open_[-1]
    if not open_:
        return None
    word, start = open_[-1]
    line = source.count("\n", 0, start) + 1
    return f"'{{% {word} %}}' in line {line} is still open: write {{% end{word} %}} where it ends"


def _of_statement(name: str, still_open: str | None) -> str | None:
    if name in STATEMENTS:
        return STATEMENTS[name]
    if name in {"elif", "else"} and still_open is not None and still_open.startswith("'{% if"):
        return "an {% if %} has one {% else %}, after every {% elif … %}: remove the other"
    if name.startswith("end") and still_open is not None:
        return still_open
    return _UNOPENED if name.startswith("end") or name in {"elif", "else"} else _KNOWN


def _of_sign(before: str, rest: str) -> str | None:
    if rest and rest[0] in _QUOTES:
        return f"{rest[0]} is a typographic quote: write ' or \""
    if rest and rest[0] in _DASHES:
        return f"{rest[0]} is a dash: write the minus '-'"
    for sign, remedy in _AT:
        # The engine may have read a first part of the sign.
        for read in range(min(len(sign), len(before) + 1)):
            if before.endswith(sign[:read]) and rest.startswith(sign[read:]):
                return remedy
    if rest.startswith("=") and not rest.startswith("=="):
        return "a comparison is '==', and names are set by {% set name = value %}"
    if rest.startswith("}}}"):
        return "a placeholder has two braces: {{ name }}"
    return None


def _of_words(source: str, place: int, rest: str) -> str:
    before = source[max(0, place - 40) : place].rstrip()
    for pattern, word, remedy in _WORDS:
        if re.search(pattern, before) and re.match(word, rest):
            return remedy
    return "two values need an operator between them, such as and, or, == or ~"
