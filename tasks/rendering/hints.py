"""What to write instead of what the engine cannot read: pure, no I/O.

Most syntax errors are the syntax of another language: JavaScript, Handlebars, Liquid, a word
processor's quotes.
"""

import re
from typing import Final

from tasks.rendering.tags import Kind, tags

# Each is looked for at the place of the error, or at the end of what is before it.
_AT: Final = (
    ("&&", "write 'and'"),
    ("||", "write 'or'"),
    ("??", "write default, as in {{ name | default('there') }}"),
    ("?.", "write '.': a member that may be missing has a default, as in {{ a.b | default('c') }}"),
    ("===", "write '=='"),
    ("!==", "write '!='"),
    ("<>", "write '!='"),
    ("->", "write '.', as in user.name"),
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
    ("\\", "a backslash stands within quotes only"),
    ("\xa0", "this is a no-break space: type a usual space"),
)
_QUOTES: Final = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb\u2039\u203a"
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2212"
_STATEMENTS: Final = {
    "assign": "write {% set name = value %}",
    "capture": "write {% set name %} … {% endset %}",
    "case": "write {% if … %} … {% elif … %} … {% endif %}",
    "each": "write {% for item in items %} … {% endfor %}",
    "elseif": "write {% elif … %}",
    "elsif": "write {% elif … %}",
    "end": "blocks end with {% endif %}, {% endfor %} and so on",
    "foreach": "write {% for item in items %} … {% endfor %}",
    "switch": "write {% if … %} … {% elif … %} … {% endif %}",
    "unless": "write {% if not … %} … {% endif %}",
}
_UNOPENED: Final = "there is no block before it that it could end or belong to"

_BLOCKS: Final = frozenset(
    {"autoescape", "block", "call", "filter", "for", "if", "macro", "raw", "set", "with"}
)
_OPENING = re.compile(r"\{[{%]")
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_TOO_EARLY: Final = (
    *("unexpected `}`", "unexpected `)`", "unexpected `]`", "unexpected `%`"),
    *("unexpected end of block", "unexpected end of variable block"),
)
_INCOMPLETE: Final = {
    "unexpected end of variable block": "the expression is incomplete: write {{ name }}, with a "
    "value behind each operator and a filter behind each |",
    "unexpected end of block": "the block is incomplete: write {% if name %}, "
    '{% for item in items %}, {% set name = value %} or {% include "template_id" %}',
    "unexpected `}`, expected identifier": "a name is missing behind the dot: write user.name",
    "unexpected `}`, expected end of variable block": "a placeholder ends with two braces: "
    "write {{ name }}",
    "expected a filter": "the filter has no name: write {% filter upper %} … {% endfilter %}",
    "unknown end of block": "a block holds a statement, as in {% if name %}",
    "unexpected end of string": "a text has no end: write its closing quote",
}


def hint(source: str, place: int | None, detail: str) -> str | None:
    """Return what to write at ``place`` of a source, or None where nobody knows.

    ``detail`` is what the engine says of it.
    """
    if place is None:
        return None
    unknown = re.fullmatch(r"unknown statement (\w+)", detail)
    if unknown is not None:
        return _of_statement(unknown[1], _open_block(source[:place]))
    rest = source[place : place + 10]
    if detail.startswith(("unexpected identifier", "unexpected string", "unexpected `:`")):
        return _of_words(source, place, rest)
    sign = _of_sign(source[max(0, place - 2) : place], rest)
    return sign or _of_end(source, place, detail)


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
    for character in _STRING.sub("", before[start + 2 :]) if start >= 0 else "":
        if character in _CLOSING:
            open_.append(character)
        elif open_ and character == _CLOSING[open_[-1]]:
            del open_[-1]
    return open_[-1] if open_ else None


def _unclosed(source: str) -> str | None:
    """Return which tag or block a source does not close."""
    every = tags(source)
    opening = _OPENING.search(source, every[-1].end if every else 0)
    is_raw = bool(every) and every[-1].word == "raw"
    if opening is not None and not is_raw:
        line = source.count("\n", 0, opening.start()) + 1
        closing = "}}" if opening[0] == "{{" else "%}"
        return f"'{opening[0]}' in line {line} is not closed: write {closing} at its end"
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
    if name in _STATEMENTS:
        return _STATEMENTS[name]
    if name in {"elif", "else"} and still_open is not None and still_open.startswith("'{% if"):
        return "an {% if %} has one {% else %}, behind every {% elif … %}: remove the other"
    if name.startswith("end") and still_open is not None:
        return still_open
    return _UNOPENED if name.startswith("end") or name in {"elif", "else"} else None


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


def _of_words(source: str, place: int, rest: str) -> str | None:
    before = source[max(0, place - 40) : place].rstrip()
    if rest.startswith("if") and before.endswith("else"):
        return "write {% elif … %}"
    if rest.startswith("of ") and re.search(r"\bfor\s+\w+$", before):
        return "write {% for item in items %}"
    if before.endswith(("{{ if", "{{if")):
        return "conditions stand in {% if … %} … {% endif %}"
    if rest.startswith((":", "'", '"')) and re.search(r"\|\s*\w+$", before):
        return "arguments of a filter stand in parentheses, as in {{ day | date('short') }}"
    if re.search(r"\{\{-?\s*[\w.]+$", before):
        return "a name has no spaces; texts are joined by ~"
    return None
