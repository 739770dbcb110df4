"""Lays out lists, quotes and preformatted lines of a text: each line begins as its place asks."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from tasks.rendering.plain_text import marks
from tasks.rendering.plain_text.marks import (
    BREAK,
    HARD_LINE,
    HARD_SPACE,
    ITEM,
    ITEM_END,
    LINE,
    LIST,
    LIST_END,
    PARAGRAPH,
    QUOTE,
    QUOTE_END,
    WITH_PARAMETERS,
)

_TOKEN: Final = re.compile(
    f"({WITH_PARAMETERS}"
    f"|[{LIST}{LIST_END}{ITEM}{ITEM_END}{QUOTE}{QUOTE_END}{PARAGRAPH}{LINE}{BREAK}{HARD_LINE}])"
)
_NUMBER: Final = re.compile(r"\s*([-+]?[0-9]{1,9})")
_ROMAN: Final = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_MOST_ROMAN: Final = 3999
_LETTERS: Final = 26


@dataclass(slots=True)
class _Place:
    """A list, an item or a quote that lines are in.

    ``first`` begins its first line, ``rest`` the others. A list counts its items by ``number`` in
    steps of ``step``.
    """

    sort: Literal["list", "item", "quote"]
    first: str = ""
    rest: str = ""
    started: bool = False
    kind: str = ""
    number: int = 1
    step: int = 1


def laid_out(text: str, *, collapses: bool) -> str:
    """Return a text with lists, quotes and preformatted lines.

    With ``collapses``, two spaces are one.
    """
    pieces = _TOKEN.split(text)
    layout = _Layout(pieces, collapses=collapses)
    for index, piece in enumerate(pieces):
        if index % 2:
            layout.mark(index, piece)
        else:
            layout.text(piece)
    return "\n".join([*layout.lines, layout.line]).replace(HARD_SPACE, " ")


@dataclass(slots=True)
class _Layout:
    """Writes lines.

    ``gap`` is how many line breaks are before the next text, and ``empty`` whether there is none
    yet.
    """

    pieces: list[str]
    collapses: bool
    lines: list[str] = field(default_factory=list)
    line: str = ""
    gap: int = 0
    empty: bool = True
    places: list[_Place] = field(default_factory=list)

    @property
    def fresh(self) -> bool:
        """Return whether the next text begins an item: then a paragraph begins no line."""
        for place in reversed(self.places):
            if place.started:
                return False  # and so are those around it
            if place.sort == "item":
                return True
        return False

    def text(self, piece: str) -> None:
        """Write text at the end of the line, or on a new one."""
        if self.collapses and "  " in piece:
            piece = re.sub(" {2,}", " ", piece)
        if not piece or (piece.isspace() and (self.gap or self.fresh or self.empty)):
            return
        if self.gap or self.fresh or self.empty:
            piece = piece.lstrip(" ")
            self._begin_line()
        self.line += piece

    def mark(self, index: int, piece: str) -> None:
        """Apply a mark."""
        match piece[0]:
            case marks.HARD_LINE:
                if self.gap or self.fresh or self.empty:
                    self._begin_line()
                self._end_line()
                self.line = self._prefix()
            case marks.LIST | marks.LIST_END | marks.ITEM | marks.ITEM_END:
                self._list_mark(index, piece)
            case marks.QUOTE:
                self._break(2)
                self.places.append(_Place("quote", "> ", "> "))
            case marks.QUOTE_END:
                self._close("quote")
                self._break(2)
            case marks.PARAGRAPH:
                self._break(2)
            case marks.LINE:
                self._break(1)
            case _:  # BREAK: an empty line unless it is what ends the line
                self._break(2 if self.gap else 1)

    def _list_mark(self, index: int, piece: str) -> None:
        match piece[0]:
            case marks.LIST:
                self._break(1 if self._depth() else 2)
                self._open_list(index, piece[1:-1])
            case marks.LIST_END:
                self._close("list")
                self._break(1 if self._depth() else 2)
            case marks.ITEM:
                self._open_item(piece[2:-1])
            case _:  # ITEM_END
                self._close_item()
                self._break(1)

    def _break(self, gap: int) -> None:
        if not self.fresh and not self.empty:
            self.gap = max(self.gap, gap)

    def _begin_line(self) -> None:
        if self.gap:
            self._end_line()
            if self.gap > 1:
                self.lines.append(self._prefix(only_started=True).rstrip())
        self.line = self._prefix()
        self.gap, self.empty = 0, False

    def _end_line(self) -> None:
        if not self.empty:
            self.lines.append(self.line.rstrip())
        self.line = ""

    def _prefix(self, *, only_started: bool = False) -> str:
        """Return the beginning of a line; with ``only_started`` of an empty one before it."""
        parts = []
        for place in self.places:
            if place.started:
                parts.append(place.rest)
            elif not only_started:
                parts.append(place.first)
                place.started = True
        return "".join(parts)

    def _depth(self) -> int:
        return sum(place.sort == "list" for place in self.places)

    def _open_list(self, index: int, parameters: str) -> None:
        # Lists in lists, without an item around them, are indented all the same.
        bare = bool(self.places) and self.places[-1].sort == "list"
        place = _Place("list", first="  " * bare, rest="  " * bare)
        given = {part[:1]: part[1:] for part in parameters.split(";") if part}
        place.kind = "-" if "u" in given else given.get("t", "").strip() or "1"
        if "n" in given:
            place.kind = ""
        is_reversed = "r" in given
        place.step = -1 if is_reversed else 1
        number = _NUMBER.match(given.get("s", ""))
        place.number = int(number[1]) if number else self._items(index) if is_reversed else 1
        self.places.append(place)

    def _items(self, index: int) -> int:
        """Return how many items the list has that begins at a piece."""
        depth = count = 0
        for piece in self.pieces[index + 2 :: 2]:
            if piece[0] == LIST:
                depth += 1
            elif piece[0] == LIST_END:
                if not depth:
                    break
                depth -= 1
            elif piece[0] == ITEM and not depth:
                count += 1
        return count

    def _open_item(self, value: str) -> None:
        self._close_item()
        self._break(1)
        parent = next((place for place in reversed(self.places) if place.sort == "list"), None)
        marker = "- "
        if parent is not None:
            number = _NUMBER.match(value)
            if number:
                parent.number = int(number[1])
            marker = _marker(parent.kind, parent.number)
            parent.number += parent.step
        self.places.append(_Place("item", marker, " " * len(marker)))

    def _close_item(self) -> None:
        """Close the item that the nearest list has open."""
        for index in range(len(self.places) - 1, -1, -1):
            if self.places[index].sort == "list":
                return
            if self.places[index].sort == "item":
                del self.places[index:]
                return

    def _close(self, sort: str) -> None:
        for index in range(len(self.places) - 1, -1, -1):
            if self.places[index].sort == sort:
                del self.places[index:]
                return


def _marker(kind: str, number: int) -> str:
    if kind in {"", "-"}:
        return "- " if kind else ""
    text = str(number)
    if kind in {"a", "A"} and number > 0:
        text = ""
        while number > 0:
            number, letter = divmod(number - 1, _LETTERS)
            text = chr(ord("a") + letter) + text
    elif kind in {"i", "I"} and 0 < number <= _MOST_ROMAN:
        text = ""
        for value, letters in _ROMAN:
            text += letters * (number // value)
            number %= value
    return f"{text.upper() if kind in {'A', 'I'} else text}. "
