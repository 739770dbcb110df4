"""What to write instead of what the engine cannot read: pure, no I/O.

Most syntax errors are the syntax of another language: JavaScript, Handlebars, Liquid, a word
processor's quotes.
"""

import re
from typing import Final

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


def hint(source: str, place: int | None, detail: str) -> str | None:
    """Return what to write at ``place`` of a source, or None where nobody knows.

    ``detail`` is what the engine says of it.
    """
    if place is None:
        return None
    unknown = re.fullmatch(r"unknown statement (\w+)", detail)
    if unknown is not None:
        return _of_statement(unknown[1])
    rest = source[place : place + 10]
    if detail.startswith(("unexpected identifier", "unexpected string", "unexpected `:`")):
        return _of_words(source, place, rest)
    return _of_sign(source[max(0, place - 2) : place], rest)


def _of_statement(name: str) -> str | None:
    if name in _STATEMENTS:
        return _STATEMENTS[name]
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
