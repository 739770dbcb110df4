"""Positions of the values in a text of TOML or JSON, by the paths that messages have. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tasks.messages.base import joined

_BLANK: Final = re.compile(r"(?:\s|#[^\n]*)*")
_STRING: Final = (
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'"
)
_SCALAR: Final = re.compile(rf"{_STRING}|[^,\]}}\n#]+", re.DOTALL)
_KEY: Final = re.compile(rf"\s*({_STRING}|[\w-]+)[ \t]*(\.?)", re.DOTALL)
_SEPARATOR: Final = re.compile(r"\s*[:=]")
_AS_JSON: Final = "_json"


class Position(NamedTuple):
    """Line and column, from 1; not exact where the text does not have what was looked for."""

    line: int
    column: int
    is_exact: bool


class Positions:
    """Positions in a valid text, which is scanned at the first question.

    Parameters
    ----------
    text
        The text.
    scan
        :func:`of_toml` or :func:`of_json`.
    """

    def __init__(self, text: str, scan: Callable[[str], Mapping[str, int]]) -> None:
        self._text = text
        self._scan = scan
        self._offsets: Mapping[str, int] | None = None

    def find(self, path: str) -> Position:
        """Return the position of a path; if it is missing, of the object or array that lacks it."""
        if self._offsets is None:
            self._offsets = self._scan(self._text)
        known = path
        while known and known not in self._offsets and f"{known}{_AS_JSON}" not in self._offsets:
            known = re.sub(r"(?:^|\.|\[)[^.\[]*$", "", known)
        offset = self._offsets.get(known, self._offsets.get(f"{known}{_AS_JSON}", 0))
        line = self._text.count("\n", 0, offset) + 1
        return Position(line, offset - self._text.rfind("\n", 0, offset), known == path)


def of_json(text: str) -> dict[str, int]:
    """Return the offset of each member and item of a JSON text, by path."""
    scanner = _Scanner(text)
    scanner.value("")
    return scanner.offsets


def of_toml(text: str) -> dict[str, int]:
    """Return the offset of each table, key and item of a TOML text, by path."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.offsets


def repeated_key(text: str) -> int:
    """Return the offset of the first key of a JSON text that an object has for a second time."""
    scanner = _Scanner(text)
    scanner.value("")
    return min(scanner.repeated, default=0)


class _Scanner:
    """Reads a text that a parser has found valid, and notes where its values are."""

    def __init__(self, text: str) -> None:
        self.offsets: dict[str, int] = {}
        self.repeated: list[int] = []
        self._text = text
        self._at = 0
        self._arrays: dict[str, int] = {}

    def document(self) -> None:
        """Read a document of TOML."""
        table = ""
        while char := self._next():
            if char == "[":
                table = self._header()
            else:
                self.value(self._key(table))

    def value(self, path: str) -> None:
        """Read a value: of JSON, or of TOML."""
        outer: list[tuple[str, int | None]] = []  # open arrays with their length, open objects
        while char := self._next():
            if char in ",]}":
                self._at += 1
                if char != ",":
                    outer.pop()
            else:
                if outer:
                    path = self._member(outer)
                    char = self._next()
                if char in "[{":
                    outer.append((path, 0 if char == "[" else None))
                    self._at += 1
                else:
                    self._skip(_SCALAR)
            if not outer:
                return

    def _member(self, outer: list[tuple[str, int | None]]) -> str:
        """Return the path of the next value in an open array or object."""
        parent, length = outer[-1]
        if length is None:
            return self._key(parent)
        path = joined(parent, length)
        self.offsets[path] = self._at
        outer[-1] = (parent, length + 1)
        return path

    def _header(self) -> str:
        """Read ``[table]`` or ``[[table]]``; return the path of its keys."""
        start = self._at
        brackets = 2 if self._text.startswith("[[", start) else 1
        self._at += brackets
        path = self._keys("", start)
        if brackets == 2:  # noqa: PLR2004 - an array of tables
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = joined(path, self._arrays[path])
            self.offsets[path] = start
        self._next()
        self._at += brackets
        return path

    def _key(self, path: str) -> str:
        """Read a key and what separates it from its value; return the path of the value."""
        self._next()
        path = self._keys(path, self._at)
        self._skip(_SEPARATOR)
        return path

    def _keys(self, path: str, start: int) -> str:
        has_more = True
        while has_more:
            if path in self._arrays:
                path = joined(path, self._arrays[path])
            match = _KEY.match(self._text, self._at)
            if match is None:
                break
            self._at = match.end()
            path = joined(path, _plain(match[1]))
            if path in self.offsets:
                self.repeated.append(start)  # in TOML also the keys of a table, before a dot
            self.offsets.setdefault(path, start)
            has_more = bool(match[2])
        return path

    def _next(self) -> str:
        """Go to the next character that means something; return it, or an empty text at the end."""
        self._skip(_BLANK)
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at + 1


def _plain(key: str) -> str:
    if key.startswith('"'):
        try:
            return str(json.loads(key, strict=False))
        except ValueError:  # an escape that only TOML has
            return key[1:-1]
    return key[1:-1] if key.startswith("'") else key
