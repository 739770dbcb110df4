"""Positions of values in CSS: which kind of value each may hold. Pure, no I/O.

The tokenizer follows CSS Syntax Level 3, section 4, over a text in which each print of a template
is one character, as in the mask of :class:`tasks.rendering.html.markup.Markup`. Branches are read
one after the other, as they stand.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tasks.rendering.html.markup import BLOCK, PRINT

DECLARATION: Final = (
    "a placeholder in a style cannot be a declaration or a property: write the property out, as in "
    "color: {{ colour }}, within {% if %} where it is not always wanted"
)
RULE: Final = (
    "a placeholder in a style sheet cannot be a rule: write the rule out, or put it into a partial "
    "and include that"
)
COMMENT: Final = "a placeholder cannot be in a comment of a style: use {# ... #}"
IMPORT: Final = (
    "a placeholder cannot be in @import and the like, nor in a property or function that runs "
    "or loads programs: write it out"
)
GLUED: Final = (
    "a placeholder in a style cannot name a function, nor follow a backslash or an exclamation "
    "mark: write the value out, within {% if %} where it varies"
)


class Position(NamedTuple):
    """Kind of value that a placeholder may have.

    ``kind`` is a kind of :mod:`tasks.rendering.html.css_values`; ``raw`` is whether it is in an
    element in which character references are not read.
    """

    kind: str
    raw: bool = False


# Properties and functions through which old browsers and mail readers run or load programs.
_RUNNING: Final = frozenset({"-moz-binding", "behavior", "-ms-behavior"})
_LOADING: Final = frozenset({"expression", "image", "image-set", "-webkit-image-set", "src"})
_COLOURS = re.compile(r"(?:[\w-]*-)?color|fill|stroke", re.IGNORECASE)
_SIDES = r"(?:-(?:top|right|bottom|left|block|inline)(?:-(?:start|end))?)?"
# Properties whose numbers need a unit, all but 0.
_LENGTHS = re.compile(
    rf"""
    (?:(?:min|max)-)?(?:width|height|inline-size|block-size)
    | (?:margin|padding|border|outline|inset){_SIDES}
    | border{_SIDES}-width | border(?:-(?:top|bottom)-(?:left|right))?-radius | border-spacing
    | outline-(?:width|offset) | top | right | bottom | left | (?:row-|column-)?gap | flex-basis
    | font-size | (?:letter|word)-spacing | text-indent | column-width
    | background-size | background-position
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PIECE = re.compile(
    r"""
    (?P<comment> /\*.*?(?:\*/|\Z) )
  | (?P<url> (?<![\w\x1a-])url\(\s*
      (?: "(?:[^"\\]|\\.)*(?:"|\Z) | '(?:[^'\\]|\\.)*(?:'|\Z) | [^)"']* ) )
  | (?P<string> "(?:[^"\\]|\\.)*(?:"|\Z) | '(?:[^'\\]|\\.)*(?:'|\Z) )
  | (?P<words> [\w-]++ )
  | (?P<escape> \\[^\x1a] )
  | (?P<mark> [{}();:@\[\]] )
  | (?P<print> \x1a )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_NAMED = re.compile(r"([\w\x1a-]*)\s*\Z")
_LONGEST_NAME: Final = 128
_CALL = re.compile(rf"[\w\x1a-]{{0,{_LONGEST_NAME}}}\(")
_WORDS: Final = frozenset("_-.+")


@dataclass(slots=True)
class _Segment:
    """Text between the marks ``;``, ``{`` and ``}``."""

    start: int
    is_at: bool = False
    has_colon: bool = False
    name: str = ""
    # The index of each print, and its position if this is a declaration, and if it is the head of
    # a rule.
    prints: list[tuple[int, Position | str, Position | str]] = field(default_factory=list)


def style_positions(css: str, *, is_sheet: bool) -> list[Position | str]:
    """Return for each print of a style what it may be, or why there can be none.

    Parameters
    ----------
    css
        The content of a ``<style>`` element, or of a ``style`` attribute with its references read.
    is_sheet
        Whether it is the former, which has rules.
    """
    found = dict(_Reader(css, is_sheet=is_sheet).positions())
    return [found.get(index, DECLARATION) for index in range(css.count(PRINT))]


class _Reader:
    """Goes through a style once."""

    def __init__(self, css: str, *, is_sheet: bool) -> None:
        self._css = css
        self._is_sheet = is_sheet
        self._index = 0
        self._functions: list[str] = []

    def positions(self) -> Iterator[tuple[int, Position | str]]:
        """Yield the index of each print and what it may be."""
        segment = _Segment(0)
        for match in _PIECE.finditer(self._css):
            kind, text, start = match.lastgroup, match[0], match.start()
            if kind == "comment":
                yield from self._all(text, COMMENT)
            elif kind == "url":
                self._url(segment, text)
            elif kind == "string":
                loads = bool(_LOADING.intersection(self._functions))
                self._add(segment, text, IMPORT if loads else Position("string"))
            elif kind == "print":
                self._print(segment, start)
            elif kind == "mark" and (ended := self._mark(segment, text, start)) is not None:
                yield from ended
                segment = _Segment(match.end())
        yield from self._finished(segment, "")

    def _mark(
        self, segment: _Segment, text: str, start: int
    ) -> Iterator[tuple[int, Position | str]] | None:
        """Take a mark; return what ends with it, if it ends a segment."""
        if text in "([":
            self._functions.append(self._name_before(segment, start) if text == "(" else "")
        elif text in ")]":
            del self._functions[-1:]
        elif text == "@":
            segment.is_at = True
        elif text == ":":
            if not self._functions and (name := self._name_before(segment, start)):
                segment.has_colon = True
                segment.name = name
        elif text in "{}" or not self._functions:
            self._functions.clear()
            return self._finished(segment, text)
        return None

    def _name_before(self, segment: _Segment, place: int) -> str:
        name = _NAMED.search(self._css[max(segment.start, place - _LONGEST_NAME) : place])
        return name[1].lower() if name else ""

    def _all(self, text: str, what: Position | str) -> Iterator[tuple[int, Position | str]]:
        for _ in range(text.count(PRINT)):
            yield self._index, what
            self._index += 1

    def _add(self, segment: _Segment, text: str, what: Position | str) -> None:
        segment.prints += [(index, each, each) for index, each in self._all(text, what)]

    def _url(self, segment: _Segment, text: str) -> None:
        self._functions.append("url")
        inside = text.partition("(")[2]
        for match in re.finditer(PRINT, inside):
            # After a block, another beginning of the address may have been written before it.
            before = inside[: match.start()].rpartition(BLOCK)[2]
            what: Position | str = Position("part" if re.search(r"[/?#]", before) else "url")
            if segment.name in _RUNNING or segment.is_at:
                what = IMPORT
            self._add(segment, PRINT, what)

    def _print(self, segment: _Segment, start: int) -> None:
        before, after = self._css[max(start - 1, 0) : start], self._css[start + 1 : start + 2]
        glued = before.isalnum() or (before != "" and before in _WORDS | {PRINT})
        joined = after.isalnum() or (after != "" and after in {"%", "_", "-", PRINT})
        if _LOADING.intersection(self._functions) or segment.name in _RUNNING:
            what: Position | str = IMPORT
        elif before in {"\\", "!", "@"} or _CALL.match(self._css, start + 1):
            what = GLUED
        elif before == "#":
            what = Position("word" if joined else "hex")
        elif (after.isalpha() or after == "%") and before != PRINT:
            what = Position("number")
        elif glued or joined:
            what = Position("word")
        else:
            what = Position(self._kind_of_value(segment.name))
        in_head = what if self._functions or isinstance(what, str) else _NAME
        if not segment.has_colon and not self._functions and isinstance(what, Position):
            # Part of a property at the most.
            what = _NAME if glued or joined else DECLARATION
        segment.prints.append((self._index, what, in_head))
        self._index += 1

    def _kind_of_value(self, name: str) -> str:
        if self._functions:
            return "value"
        if _COLOURS.fullmatch(name):
            return "colour"
        return "length" if _LENGTHS.fullmatch(name) else "value"

    def _finished(self, segment: _Segment, mark: str) -> Iterator[tuple[int, Position | str]]:
        for index, declared, in_head in segment.prints:
            if mark == "{":
                yield index, in_head
            elif segment.is_at:
                yield index, IMPORT
            elif segment.has_colon:
                yield index, declared
            else:
                # The kind of a print outside rules of a style sheet is unknown.
                yield index, RULE if self._is_sheet else DECLARATION


_NAME: Final = Position("name")
