"""Reads markup and writes the text that it gives."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import unescape
from itertools import takewhile
from typing import NamedTuple

from tasks.rendering.html.markup import (
    BLOCK,
    PRINT,
    Markup,
    Token,
    attributes,
    decoded,
    prints,
    tokens,
)
from tasks.rendering.plain_text.certainty import OPENING, given, read_sheet
from tasks.rendering.plain_text.elements import (
    ABOVE_A_SPACE,
    CELLS,
    COUNTED_END,
    COUNTED_START,
    END_MARKS,
    HIDDEN,
    SHOWN_ATTRIBUTES,
    SHOWN_RAW,
    START_MARKS,
    VOID,
    is_calculated,
    raised_text,
)
from tasks.rendering.plain_text.hiding import Hidden
from tasks.rendering.plain_text.selectors import NOTHING, Element
from tasks.rendering.plain_text.styles import (
    MAY_STYLE,
    PLAIN,
    RAISED,
    Scope,
    Style,
    StyleSheet,
    after_end,
    deeper,
    is_shown_itself,
    scope_of,
    shows_text,
    style_of,
)
from tasks.rendering.tags import Kind, Tag

_DEEPEST = 100
"""Open elements that selectors are compared with; real pages have fewer."""

_SPACES = re.compile(r"\s+")

_WITHOUT_OUTPUT = frozenset({"for", "if", "with"})


def written(tag: Tag) -> str:
    """Return the tag without whitespace control, which is for the text that stood there."""
    return f"{{{{ {tag.inner} }}}}" if tag.kind is Kind.PRINT else f"{{% {tag.inner} %}}"


def _reading(text: str) -> str:
    return unescape(text) if "&" in text else text


class _State(NamedTuple):
    """The open elements at the current position that change what is shown.

    ``hidden`` is the element that hides all in it. ``scopes`` are elements that hide their text,
    show it again, keep its lines or strike it through. ``path`` are the open elements, as far as
    end tags tell.
    """

    hidden: Hidden | None = None
    scopes: tuple[Scope, ...] = ()
    path: tuple[Element, ...] = ()
    previous: Element | None = None

    def merged(self, other: "_State") -> "_State":
        """Return the state after alternatives; text is rather shown than lost."""
        scopes = self.scopes if self.scopes == other.scopes else ()
        path = self.path
        if path != other.path:
            pairs = zip(path, other.path, strict=False)
            path = tuple(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        hidden = self.hidden.merged(other.hidden) if self.hidden and other.hidden else None
        previous = self.previous if self.previous is other.previous else None
        return _State(hidden, scopes, path, previous)

    def entered(
        self, tag: str, names: frozenset[str] = frozenset(), values: Mapping[str, str] = NOTHING
    ) -> "_State":
        """Return the state within an element."""
        element = Element(tag, names, values, self.previous)
        return self._replace(path=(*self.path[-_DEEPEST:], element), previous=None)

    def left(self, name: str) -> "_State":
        """Return the state after the end tag of an element, if one of that name is open."""
        for index in range(len(self.path) - 1, -1, -1):
            if self.path[index].tag == name:
                return self._replace(path=self.path[:index], previous=self.path[index])
        return self

    def shows_text(self) -> bool:
        """Return whether text is shown."""
        return not self.hidden and (not self.scopes or shows_text(self.scopes))

    def keeps_lines(self) -> bool:
        """Return whether text is preformatted."""
        return any(scope.sort == "pre" for scope in self.scopes)


@dataclass(slots=True)
class _Open:
    """A block that has begun.

    ``part`` is the number of parts before it; ``shown`` is whether it began where text is
    shown; ``start`` is the state before its alternatives, ``end`` that after those read so far, and
    one of them is taken whatever the values if they are ``exhaustive``.
    """

    word: str
    part: int
    shown: bool
    start: _State
    end: _State | None = None
    exhaustive: bool = False


class Walker:
    """Reads markup once, from left to right, and writes the text that it gives."""

    def __init__(
        self, source: Markup, literal: Callable[[str], str], definitions: Mapping[int, str]
    ) -> None:
        self._source = source
        self._literal = literal
        self._definitions = definitions
        self._places = (*source.places, len(source.mask))
        self._position = 0
        self._tag = 0
        self._parts: list[str] = []
        # The last parts that show something, and that show or define something.
        self._last_shown = -1
        self._last_kept = -1
        self._open: list[_Open] = []
        self._state = _State()
        self.is_certain = True
        self.sheet = StyleSheet()

    def text(self) -> str:
        """Return the text; a walker reads its markup once."""
        mask = self._source.mask
        found = list(tokens(mask))
        # A style sheet is for what is before it too.
        self._read_sheets(token for token in found if token.sort == "raw" and token.name == "style")
        for token in found:
            if self._position < token.start:
                self._pass(token.start, _reading)
            if token.sort == "start":
                self._start(token)
            elif token.sort == "end":
                self._end(token)
            elif token.sort == "raw" and token.name in SHOWN_RAW:
                self._pass(token.end, _reading)
            elif token.sort == "raw" and token.name == "style" and self._open:
                self.is_certain = self.is_certain and not self.sheet.selects
            self._pass(max(token.end, self._position))
        self._pass(len(mask), _reading)
        return "".join(self._parts)

    def _read_sheets(self, sheets: Iterable[Token]) -> None:
        for token in sheets:
            if not read_sheet(self.sheet, self._source, token):
                self.is_certain = False

    def _start(self, token: Token) -> None:
        name = token.name
        if (around := self._state.hidden) is not None:
            self._state = self._state._replace(hidden=around.after_start(name))
            if self._state.hidden is not None:
                return
            self._state = self._state.left(around.name)
        before = self._state
        style = self._style(token)
        if self._hides(token, style):
            self._pass(token.end)
            self._state = self._state._replace(hidden=Hidden(name))
        else:
            self._shown_start(token, style)
        if name in VOID:
            self._state = before._replace(previous=self._state.path[-1])

    def _shown_start(self, token: Token, style: Style) -> None:
        name = token.name
        align = style.properties.get("vertical-align", name)
        if element := RAISED.get(align) if name not in CELLS else None:
            self._script(token, element)
        elif name in COUNTED_START:
            self._show(COUNTED_START[name])
        elif mark := START_MARKS.get(name):
            self._mark(mark)
        elif name in SHOWN_ATTRIBUTES:
            self._attributes(token, style)
        self._scope(name, style)

    def _script(self, token: Token, element: str) -> None:
        """Show a superscript or subscript as one; mark one that has no such characters."""
        mask = self._source.mask
        end = mask.find("</", token.end)
        inside = _reading(mask[token.end : end]).strip()
        if end < 0 or not inside or not self._state.shows_text():
            return
        if (raised := raised_text(inside, element)) is not None:
            self._show(raised)
            self._pass(end)
        elif is_calculated(inside):
            self._pass(token.end)
            self._show("^(" if element == "sup" else "_(")
            self._pass(end, _reading)
            self._show(")")
        elif element == "sup" and (PRINT in inside or inside[0] == "<"):
            self._show("^")

    def _scope(self, name: str, style: Style) -> None:
        """Record an element that begins, if it changes how its contents are shown."""
        scopes = deeper(self._state.scopes, name)
        if name not in VOID and (scope := scope_of(name, style, scopes)):
            scopes = (*scopes, scope)
            self._show(scope.opening)
        if scopes is not self._state.scopes:
            self._state = self._state._replace(scopes=scopes)

    def _end(self, token: Token) -> None:
        name = token.name
        state = self._state
        if (around := state.hidden) is not None:
            hidden = around.after_end(name)
            self._state = state._replace(hidden=hidden)
            if hidden is not None:
                return
            self._state = state = self._state.left(around.name)
            if name == around.name:
                return
        self._state = state.left(name)
        if state.scopes:
            scopes, closing = after_end(state.scopes, name)
            self._state = self._state._replace(scopes=scopes)
            self._show(closing)
        if name in COUNTED_END:
            self._show(COUNTED_END[name])
        elif mark := END_MARKS.get(name):
            self._mark(mark)

    def _hides(self, token: Token, style: Style) -> bool:
        if token.name in HIDDEN:
            return self._source.mask[token.end - 2] != "/"
        return style.hides

    def _style(self, token: Token) -> Style:
        """Return whether and how an element is shown, from its attributes."""
        source = self._source
        if not self.sheet and MAY_STYLE.search(source.mask, token.inside, token.inside_end) is None:
            self._state = self._state.entered(token.name)
            return PLAIN
        attributes_given = given(source, token, self._tag)
        if attributes_given.may_change_text(self.sheet):
            self.is_certain = False
        values = attributes_given.values
        names = {f".{name}" for name in values.get("class", "").split()}
        if identifier := values.get("id"):
            names.add(f"#{identifier}")
        self._state = self._state.entered(token.name, frozenset(names), values)
        return style_of(self._state.path, values, self.sheet)

    def _attributes(self, token: Token, style: Style) -> None:
        """Show the attributes of an element that a text needs."""
        around = self._state
        if not around.shows_text() and is_shown_itself(style):
            # Without a scope: it is not entered yet, and an element without content has none.
            self._state = around._replace(scopes=())
        if self._state.shows_text() or token.name in {"ol", "ul", "li"}:
            self._shown_attributes(token, style)
        self._state = around

    def _shown_attributes(self, token: Token, style: Style) -> None:
        before, shown, after = SHOWN_ATTRIBUTES[token.name]
        self._show(before + style.list_parameters(token.name))
        mask = self._source.mask
        last: dict[str, int] = {}
        for attribute in attributes(mask, token):
            name = attribute.name
            # Of two of a name the second does not count, unless it is an alternative.
            if name in shown and (
                name not in last or mask.find(BLOCK, last[name], attribute.start) >= 0
            ):
                last[name] = attribute.end
                opening, closing = shown[name]
                self._pass(attribute.value)
                self._show(opening)
                self._pass(attribute.value_end, decoded)
                self._show(closing)
        if after:
            self._pass(token.end)
            self._show(after)

    def _pass(self, end: int, reading: Callable[[str], str] | None = None) -> None:
        """Advance to ``end``; with ``reading`` the text before it is written, else dropped."""
        while self._places[self._tag] < end:
            place, tag = self._places[self._tag], self._source.tags[self._tag]
            if reading is not None:
                self._text(place, reading)
            self._position = place + 1
            self._tag += 1
            shown = reading is not None and self._state.shows_text()
            if not prints(tag):
                self._block(tag, shown=shown)
            elif shown:
                self._show(written(tag))
        if reading is not None:
            self._text(end, reading)
        self._position = end

    def _text(self, end: int, reading: Callable[[str], str]) -> None:
        if self._position < end and self._state.shows_text():
            text = self._source.mask[self._position : end]
            if self._state.keeps_lines():
                self._show(self._literal(reading(text)))
            elif text.isspace():
                self._mark(" ")
            else:
                self._show(self._literal(_SPACES.sub(" ", reading(text))))

    def _mark(self, mark: str) -> None:
        """Write a mark or a space, unless the text already ends in it."""
        last = self._parts[-1] if self._parts else ""
        if not last.endswith(mark if mark != " " else ABOVE_A_SPACE):
            self._show(mark)

    def _show(self, part: str) -> None:
        if part:
            self._last_shown = self._last_kept = len(self._parts)
            self._parts.append(part)

    def _block(self, tag: Tag, *, shown: bool) -> None:
        part = len(self._parts)
        if tag.word in OPENING:
            self._open.append(_Open(tag.word, part, shown, self._state))
        elif tag.word in {"elif", "else"} and self._open:
            opened = self._open[-1]
            opened.end = self._state if opened.end is None else self._merged(opened.end)
            opened.exhaustive = tag.word == "else"
            self._state = opened.start
        elif self._open and tag.word == f"end{self._open[-1].word}":
            self._close(self._open.pop(), tag)
            return
        else:
            self._last_kept = part
        self._parts.append(self._definitions.get(tag.start) or written(tag))

    def _merged(self, other: _State) -> _State:
        """Return the state after alternatives, of which this is one."""
        state, selects = self._state, self.sheet.selects
        if (
            state.shows_text() != other.shows_text()
            or state.scopes != other.scopes
            or (selects and state.path != other.path)
            or (
                state.previous is not other.previous
                and any(each.has_siblings() for each in selects)
            )
        ):
            self.is_certain = False
        return other.merged(state)

    def _close(self, opened: _Open, tag: Tag) -> None:
        if opened.word in {"for", "if"}:
            if opened.end is not None:
                self._state = self._merged(opened.end)
            if not opened.exhaustive:
                self._state = self._merged(opened.start)
        outputs = opened.word not in _WITHOUT_OUTPUT
        if self._last_kept < opened.part and not (outputs and opened.shown):
            del self._parts[opened.part :]
            return
        if opened.word == "block" and not opened.shown and self._last_shown < opened.part:
            # What a block sets is not known outside.
            self._last_kept = opened.part - 1
            del self._parts[opened.part :]
            return
        if outputs and opened.shown:
            self._last_shown = self._last_kept = len(self._parts)
        self._parts.append(written(tag))
