"""Reads markup and writes the text that it gives."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape
from itertools import takewhile
from typing import NamedTuple

from tasks.rendering.markup import (
    BLOCK,
    PRINT,
    Attribute,
    Markup,
    Token,
    attributes,
    decoded,
    prints,
    tokens,
)
from tasks.rendering.plain_text.elements import (
    ABOVE_A_SPACE,
    COUNTED_END,
    COUNTED_START,
    END_MARKS,
    HIDDEN,
    SCRIPTS,
    SHOWN_ATTRIBUTES,
    SHOWN_RAW,
    START_MARKS,
    VOID,
)
from tasks.rendering.plain_text.hiding import Hidden
from tasks.rendering.plain_text.selectors import Element
from tasks.rendering.plain_text.styles import (
    MAY_STYLE,
    PLAIN,
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

_OPENING = frozenset({"block", "call", "filter", "for", "if", "with"})
_WITHOUT_OUTPUT = frozenset({"for", "if", "with"})


def written(tag: Tag) -> str:
    """Return the tag without whitespace control, which is for the text that stood there."""
    return f"{{{{ {tag.inner} }}}}" if tag.kind is Kind.PRINT else f"{{% {tag.inner} %}}"


def _reading(text: str) -> str:
    return unescape(text) if "&" in text else text


class _State(NamedTuple):
    """Which elements the current position stands in, of those that change what is shown.

    ``hidden`` is the element that hides all in it. ``scopes`` are elements that hide their text,
    show it again, keep its lines or strike it through. ``path`` are the open elements, as far as
    end tags tell.
    """

    hidden: Hidden | None = None
    scopes: tuple[Scope, ...] = ()
    path: tuple[Element, ...] = ()

    def merged(self, other: "_State") -> "_State":
        """Return the state after alternatives; text is rather shown than lost."""
        scopes = self.scopes if self.scopes == other.scopes else ()
        path = self.path
        if path != other.path:
            pairs = zip(path, other.path, strict=False)
            path = tuple(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        hidden = self.hidden.merged(other.hidden) if self.hidden and other.hidden else None
        return _State(hidden, scopes, path)

    def entered(self, element: Element) -> "_State":
        """Return the state within an element."""
        return self._replace(path=(*self.path[-_DEEPEST:], element))

    def left(self, name: str) -> "_State":
        """Return the state after the end tag of an element, if one of that name is open."""
        for index in range(len(self.path) - 1, -1, -1):
            if self.path[index].tag == name:
                return self._replace(path=self.path[:index])
        return self

    def shows_text(self) -> bool:
        """Tell whether text is shown."""
        return not self.hidden and (not self.scopes or shows_text(self.scopes))

    def keeps_lines(self) -> bool:
        """Tell whether text is preformatted."""
        return any(scope.sort == "pre" for scope in self.scopes)


@dataclass(slots=True)
class _Open:
    """A block that has begun.

    ``part`` is the number of parts before it; ``shown`` tells whether it began where text is
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
        self._sheet = StyleSheet()

    def text(self) -> str:
        """Return the text; a walker reads its markup once."""
        mask = self._source.mask
        for token in tokens(mask):
            if self._position < token.start:
                self._pass(token.start, _reading)
            if token.sort == "start":
                self._start(token)
            elif token.sort == "end":
                self._end(token)
            elif token.sort == "raw" and token.name in SHOWN_RAW:
                self._pass(token.end, _reading)
            elif token.sort == "raw" and token.name == "style":
                self._sheet.read(mask[token.start : token.end])
            self._pass(max(token.end, self._position))
        self._pass(len(mask), _reading)
        return "".join(self._parts)

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
            self._state = before

    def _shown_start(self, token: Token, style: Style) -> None:
        name = token.name
        if name in SCRIPTS:
            self._script(token)
        elif name in COUNTED_START:
            self._show(COUNTED_START[name])
        elif mark := START_MARKS.get(name):
            self._mark(mark)
        elif name in SHOWN_ATTRIBUTES:
            self._attributes(token, style)
        self._scope(name, style)

    def _script(self, token: Token) -> None:
        """Show a superscript or subscript number as one; mark a superscript that may be one."""
        mask = self._source.mask
        end = mask.find("</", token.end)
        inside = _reading(mask[token.end : end]).strip()
        raised = inside.translate(SCRIPTS[token.name])
        if end < 0 or not inside or not self._state.shows_text():
            return
        if not set(raised) & set(inside):
            self._show(raised)
            self._pass(end)
        elif token.name == "sup" and (PRINT in inside or inside[0] == "<"):
            self._show("^")

    def _scope(self, name: str, style: Style) -> None:
        """Note an element that begins, where it changes what is shown in it."""
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
        """Return what the attributes of an element say of whether and how it is shown."""
        source = self._source
        if (
            not self._sheet
            and MAY_STYLE.search(source.mask, token.inside, token.inside_end) is None
        ):
            self._state = self._state.entered(Element(token.name))
            return PLAIN
        # An attribute within a block stands there in some renders only.
        index = self._tag
        blocks = 0
        given: dict[str, str] = {}
        for attribute in attributes(source.mask, token):
            while self._places[index] < attribute.start:
                word = source.tags[index].word
                blocks += (word in _OPENING) - (word[3:] in _OPENING)
                index += 1
            value = source.mask[attribute.value : attribute.value_end]
            if not blocks and BLOCK in value and attribute.name == "style":
                value = self._certain(attribute, index)
            if not blocks and BLOCK not in value:
                given.setdefault(attribute.name, value)
        names = {f".{name}" for name in given.get("class", "").split()}
        if identifier := given.get("id"):
            names.add(f"#{identifier}")
        self._state = self._state.entered(Element(token.name, frozenset(names)))
        return style_of(self._state.path, given, self._sheet)

    def _certain(self, attribute: Attribute, index: int) -> str:
        """Return what the value of an attribute has in every render; ``index`` is its first tag."""
        mask, parts = self._source.mask, []
        depth, last = 0, attribute.value
        while self._places[index] < attribute.value_end:
            place, word = self._places[index], self._source.tags[index].word
            if mask[place] == BLOCK:
                if not depth:
                    parts.append(mask[last:place])
                depth += (word in _OPENING) - (word[3:] in _OPENING)
                last = place + 1
            index += 1
        if not depth:
            parts.append(mask[last : attribute.value_end])
        return "".join(parts)

    def _attributes(self, token: Token, style: Style) -> None:
        """Show the attributes of an element that a text needs."""
        around = self._state
        if not around.shows_text() and is_shown_itself(style):
            # Not yet its scope, which an element without content has none of.
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
        if tag.word in _OPENING:
            self._open.append(_Open(tag.word, part, shown, self._state))
        elif tag.word in {"elif", "else"} and self._open:
            opened = self._open[-1]
            opened.end = self._state if opened.end is None else opened.end.merged(self._state)
            opened.exhaustive = tag.word == "else"
            self._state = opened.start
        elif self._open and tag.word == f"end{self._open[-1].word}":
            self._close(self._open.pop(), tag)
            return
        else:
            self._last_kept = part
        self._parts.append(self._definitions.get(tag.start) or written(tag))

    def _close(self, opened: _Open, tag: Tag) -> None:
        if opened.word in {"for", "if"}:
            if opened.end is not None:
                self._state = opened.end.merged(self._state)
            if not opened.exhaustive:
                self._state = opened.start.merged(self._state)
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
