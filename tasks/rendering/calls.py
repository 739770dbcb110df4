"""Calls of filters in a source, with the arguments that are written out: pure, no I/O."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from tasks.rendering.tags import Kind, tags

_PIECE: Final = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<other>[^'"()\[\]{},]+|.)""", re.DOTALL
)
_USE: Final = re.compile(r"(?:\||^[-+]?\s*filter\b)\s*(\w+)\s*(\()?")
_NAMED: Final = re.compile(r"\s*(\w+)\s*=(?!=)")
_ESCAPE: Final = re.compile(r"\\(u\{?([0-9a-fA-F]+)\}?|.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call.

    ``name`` is set for a keyword argument; ``text`` is a text in quotes, if the argument is only
    that. ``literals`` says where the texts in it are in the source, without their quotes;
    those in subscripts and in the brackets of another call are left out.
    """

    name: str | None
    start: int
    code: str
    text: str | None
    literals: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A use of a filter, from ``start`` in the source, with the arguments in its brackets."""

    filter: str
    start: int
    arguments: tuple[Argument, ...]

    def argument(self, name: str, position: int) -> Argument | None:
        """Return the argument that is given by name, or at a position counted from 0."""
        for argument in self.arguments:
            if argument.name == name:
                return argument
        unnamed = [argument for argument in self.arguments if argument.name is None]
        return unnamed[position] if position < len(unnamed) else None


def calls(source: str, filters: Collection[str]) -> Iterator[Call]:
    """Yield the uses of the given filters in the order of the source."""
    if not any(name in source for name in filters):
        return
    for tag in tags(source):
        if tag.kind is not Kind.COMMENT:
            yield from _calls(source, tag.start + 2, tag.end - 2, filters)


def _calls(source: str, start: int, end: int, filters: Collection[str]) -> Iterator[Call]:
    blanked = _blanked(source[start:end])
    for match in _USE.finditer(blanked):
        if match[1] in filters:
            place = start + match.start(1)
            arguments = _arguments(source, start + match.end(), end) if match[2] else ()
            yield Call(match[1], place, tuple(arguments))


def _blanked(inside: str) -> str:
    """Return the inside of a tag with blanks for its texts in quotes."""
    return _PIECE.sub(
        lambda match: match[0] if match["text"] is None else " " * len(match[0]), inside
    )


def _arguments(source: str, start: int, end: int) -> Iterator[Argument]:
    groups: list[bool] = []
    begin = position = start
    literals: list[tuple[int, int]] = []
    while position < end and (match := _PIECE.match(source, position, end)) is not None:
        piece, position = match[0], match.end()
        if match["text"] is not None:
            if all(groups):
                literals.append((match.start() + 1, match.end() - 1))
        elif piece in {"(", "[", "{"}:
            before = source[begin : match.start()].rstrip()[-1:]
            groups.append(piece == "(" and not (before.isalnum() or before in {"_", ")", "]"}))
        elif piece in {")", "]", "}"} and groups:
            groups.pop()
        elif piece in {")", ","} and not groups:
            if source[begin : match.start()].strip():
                yield _argument(source, begin, match.start(), tuple(literals))
            if piece == ")":
                return
            begin, literals = position, []


def _argument(source: str, start: int, end: int, literals: tuple[tuple[int, int], ...]) -> Argument:
    named = _NAMED.match(source, start, end)
    begin = named.end() if named else start
    code = source[begin:end].strip()
    begin += len(source[begin:end]) - len(source[begin:end].lstrip())
    text = None
    if len(literals) == 1 and literals[0] == (begin + 1, begin + len(code) - 1):
        text = _ESCAPE.sub(_unescaped, code[1:-1])
    return Argument(named[1] if named else None, begin, code, text, literals)


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[2], 16) % 0x110000) if match[2] else _ESCAPED.get(match[1], match[1])
