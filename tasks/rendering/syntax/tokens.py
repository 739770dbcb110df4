"""The tokens of an expression."""

import re
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<name>[^\W\d]\w*)
      | (?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
          |\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][-+]?\d+)?)
      | (?P<text>'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*")
      | (?P<sign>\*\*|//|==|!=|<=|>=|[-+*/%~<>=|.,:()\[\]{}])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class UnreadableError(Exception):
    """The text cannot be read by this package."""


class Token(NamedTuple):
    """A token of ``kind`` ``name``, ``number``, ``text``, ``sign`` or ``end``."""

    kind: str
    text: str
    start: int
    end: int


def tokens(source: str, start: int, end: int) -> list[Token]:
    """Return the tokens from ``start`` to before ``end`` of a source, and one for the end.

    Raises
    ------
    UnreadableError
        There is a character that begins none.
    """
    found: list[Token] = []
    position = start
    read = _TOKEN.match
    while True:
        match = read(source, position, end)
        if match is None or match.lastgroup is None:
            raise UnreadableError
        kind = match.lastgroup
        position = match.end()
        text = match[kind]
        found.append(Token(kind, text, position - len(text), position))
        if kind == "end":
            return found


def text_of(literal: str) -> str:
    """Return the value of a text in quotes."""
    inside = literal[1:-1]
    if "\\" not in inside:
        return inside
    return _ESCAPE.sub(_unescaped, inside)


def number_of(literal: str) -> int | float:
    """Return the number in a literal."""
    digits = literal.replace("_", "")
    try:
        return int(digits, 0) if digits[:1] == "0" and digits[1:2].isalpha() else int(digits)
    except ValueError:
        return float(digits)


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)
