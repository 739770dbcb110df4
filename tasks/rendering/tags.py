"""The tags of a template's source: where prints, blocks, comments and raw text are.

The engine gives no syntax tree to Python, so what must be known of a source before it is rendered
(what it includes, where in a page its placeholders are) is read from its tags here. The lexer
follows MiniJinja's: strings may hold delimiters, brackets are balanced before a tag ends, and raw
blocks hold none. https://docs.rs/minijinja/latest/minijinja/syntax/
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

COMMENT_START: Final = "{\x1f"
"""How :func:`prepared` writes the start of a comment; as long as ``{#``, in bytes too."""

_START = re.compile(r"\{[{%#]")
# A string without an end runs to the end of the source, so that nothing is read twice.
_INSIDE = re.compile(
    r"""'[^'\\]*(?:\\.[^'\\]*)*'?|"[^"\\]*(?:\\.[^"\\]*)*"?|[^'"()\[\]{}%+-]+|.""",
    re.DOTALL,
)
STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_END_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
# Minified style sheets nest rules as in "@media print{#menu{display:none}}".
_STYLE_RULE = re.compile(r"\{#[A-Za-z_][^{}]*\{(?![{%#])")
_WORD = re.compile(r"\w*")


class Kind(StrEnum):
    """Kind of a tag."""

    PRINT = "print"
    BLOCK = "block"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of a source, from ``start`` to before ``end``, counted in characters.

    ``inner`` is what is between the delimiters, without whitespace around it and without the
    marks of whitespace control; ``word`` is the first word of a block, such as ``include``.
    """

    kind: Kind
    start: int
    end: int
    inner: str
    word: str


@lru_cache(maxsize=2)
def tags(source: str) -> tuple[Tag, ...]:
    """Return the tags of ``source`` in order; a tag that does not end is left out.

    Cached: several callers ask for the tags of one source, one after the other.
    """
    return tuple(_tags(source))


def tag_at(source: str, place: int) -> Tag | None:
    """Return the tag at a place of ``source``, or None between tags."""
    return next((tag for tag in tags(source) if tag.start <= place < tag.end), None)


def code(source: str) -> Iterator[tuple[int, str]]:
    """Yield where each print and block begins, and its text with blanks for its strings."""
    for tag in tags(source):
        if tag.kind is not Kind.COMMENT:
            yield tag.start, blanked(source[tag.start : tag.end])


def blanked(inside: str) -> str:
    """Return the inside of a tag with blanks for its strings."""
    return STRING.sub(lambda match: " " * len(match[0]), inside)


def prepared(source: str) -> str:
    """Return ``source`` as the engine gets it: of the same length, comments marked.

    ``{#`` begins a comment in Jinja, and a rule in a minified style sheet, which must stay.
    """
    if "{#" not in source:
        return source
    parts = []
    last = 0
    for tag in tags(source):
        if tag.kind is Kind.COMMENT:
            parts += [source[last : tag.start], COMMENT_START]
            last = tag.start + len(COMMENT_START)
    return "".join([*parts, source[last:]])


def _tags(source: str) -> Iterator[Tag]:
    position = 0
    # Known once: looking for it again after each "{#" of a long source would take for ever.
    last_comment_end = source.rfind("#}")
    while (match := _START.search(source, position)) is not None:
        start = match.start()
        if match[0] == "{#":
            tag = _comment(source, start) if start + 2 <= last_comment_end else None
        else:
            tag = _tag(source, start, "}}" if match[0] == "{{" else "%}")
            if tag is None:
                return
        if tag is None:
            position = match.end()
            continue
        yield tag
        position = tag.end
        if _RAW.fullmatch(source, start, tag.end):
            end = _END_RAW.search(source, position)
            if end is None:
                return
            yield Tag(Kind.BLOCK, end.start(), end.end(), "endraw", "endraw")
            position = end.end()


def _comment(source: str, start: int) -> Tag | None:
    if _STYLE_RULE.match(source, start):
        return None
    end = source.index("#}", start + 2)
    inner = source[start + 2 : end].removeprefix("-").removesuffix("-").strip()
    return Tag(Kind.COMMENT, start, end + 2, inner, "")


def _tag(source: str, start: int, closing: str) -> Tag | None:
    end = _end(source, start + 2, closing)
    if end is None:
        return None
    inner = source[start + 2 : end - 2]
    if inner.startswith(("-", "+")):
        inner = inner[1:]
    if inner.endswith(("-", "+")):
        inner = inner[:-1]
    inner = inner.strip()
    if closing == "}}":
        return Tag(Kind.PRINT, start, end, inner, "")
    word = _WORD.match(inner)
    return Tag(Kind.BLOCK, start, end, inner, word[0] if word else "")


def _end(source: str, position: int, closing: str) -> int | None:
    """Return where the tag ends whose inside begins at ``position``, or None."""
    brackets = 0
    while (match := _INSIDE.match(source, position)) is not None:
        piece, position = match[0], match.end()
        if not brackets and source.startswith(closing, match.start()):
            return match.start() + len(closing)
        if piece in "([{":
            brackets += 1
        elif piece in ")]}":
            brackets -= bool(brackets)
        elif piece in ("-", "+") and not brackets and source.startswith(closing, position):
            return position + len(closing)
    return None
