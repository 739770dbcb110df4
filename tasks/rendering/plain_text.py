"""The plain-text alternative of an HTML body: pure, no I/O.

It is derived from the template, once, and then rendered beside it, so that a render costs no
reading of HTML. Line breaks and links are written as marks, controls that no page holds, which
:func:`finished` reads: only then is it known whether a label is empty and which breaks meet.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Final, NamedTuple

from tasks.rendering.markup import (
    BLOCK,
    Attribute,
    Markup,
    Token,
    attributes,
    decoded,
    markup,
    pieces,
    prints,
    tokens,
)
from tasks.rendering.tags import COMMENT_START, Kind, Tag

# None of the marks is whitespace to str.split(), as U+001C to U+001F are.
_LIST: Final = "\x0e"
_LIST_END: Final = "\x0f"
_PARAGRAPH: Final = "\x10"
_LINE: Final = "\x11"
_BREAK: Final = "\x12"
_ITEM: Final = "\x13"
_ITEM_END: Final = "\x14"
_LINK: Final = "\x15"  # the address follows
_LABEL: Final = "\x16"
_LINK_END: Final = "\x17"
_BREAKS: Final = f"{_PARAGRAPH}{_LINE}{_BREAK}{_ITEM}{_ITEM_END}"
_LINK_MARKS: Final = f"{_LINK}{_LABEL}{_LINK_END}"

_LISTS = re.compile(f"[{_LIST}{_LIST_END}]")
_LINKS = re.compile(f"{_LINK}([^{_LINK_MARKS}]*+){_LABEL}([^{_LINK_MARKS}]*+){_LINK_END}?")
_WITHOUT_LINK_MARKS = dict.fromkeys(map(ord, _LINK_MARKS))
_EDGE = f"{_BREAKS} "
_RUN = re.compile(f"([{_BREAKS}](?: ?[{_BREAKS}])* ?)")
_UNSHOWN = frozenset({"mailto", "tel"})

_SPACES = re.compile(r"\s+")
# What str.split() takes for whitespace, but for the space.
_WHITESPACE: Final = b"\t\n\v\f\r\x1c\x1d\x1e\x1f"
# With the comment start that the engine is given, and at the end, where a tag may follow.
_TAG_START = re.compile(rf"\{{(?=[{{%#{COMMENT_START[-1]}]|\Z)")

_PARAGRAPHS = "blockquote dl figure h1 h2 h3 h4 h5 h6 p pre table"
_LINES = (
    "address article aside body caption center dd details dir div dt fieldset figcaption footer "
    "form header html legend main menu nav option section summary tbody tfoot thead tr"
)
_START_MARKS: Mapping[str, str] = {
    **dict.fromkeys(_PARAGRAPHS.split(), _PARAGRAPH),
    **dict.fromkeys(_LINES.split(), _LINE),
    "li": f"{_LINE}{_ITEM}",
    "td": " ",
    "th": " ",
}
_END_MARKS: Mapping[str, str] = {**_START_MARKS, "li": _ITEM_END}
# Of these, unlike of the others, two are not one.
_COUNTED_START: Mapping[str, str] = {
    "br": _BREAK,
    "hr": f"{_PARAGRAPH}---{_PARAGRAPH}",
    "ol": _LIST,
    "ul": _LIST,
}
_COUNTED_END: Mapping[str, str] = {"a": _LINK_END, "ol": _LIST_END, "ul": _LIST_END}
_ABOVE_A_SPACE = (" ", _LIST, _LIST_END, *_BREAKS)
_SHOWN_ATTRIBUTES: Mapping[str, tuple[str, str, str]] = {
    "a": ("href", _LINK, _LABEL),
    "img": ("alt", " ", " "),
}
_SHOWN_RAW = frozenset({"textarea", "xmp"})
_HIDDEN = frozenset({"head", "svg", "template"})
# HTML standard, section 13.2.6.4.4: any other element ends a head that was left open.
_IN_HEAD = frozenset(
    {
        "base",
        "basefont",
        "bgsound",
        "head",
        "link",
        "meta",
        "noframes",
        "noscript",
        "script",
        "style",
        "template",
        "title",
    }
)
_VOID = frozenset(
    {
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    }
)
_MAY_HIDE = re.compile(r"[dDhH](?i:isplay|idden)")
_DISPLAY_NONE = re.compile(r"(?:\A|;)\s*display\s*:\s*none\b", re.IGNORECASE)

_CAPTURE = re.compile(r"set\s+[\w.]+\s*(?:\||\Z)")
_OPENING = frozenset({"block", "call", "filter", "for", "if", "with"})
_WITHOUT_OUTPUT = frozenset({"for", "if", "with"})


def text_source(source: str) -> str:
    """Return the template of the text alternative of ``source``, a template of an HTML body.

    It takes the same values, is to be rendered without escaping, and its output is then for
    :func:`finished`. Prints and blocks stay; those of parts that give no text (styles, comments)
    go, but for what they define.
    """
    texts, found = pieces(source)
    definitions: dict[int, str] = {}
    for start, end in reversed(_definitions(found)):
        opening, closing = found[start], found[end]
        inside = markup(texts[start + 1 : end + 1], found[start + 1 : end])
        text = _Walker(inside, _literal, {}).text()
        definitions[opening.start] = f"{_written(opening)}{text}{_written(closing)}"
        del found[start + 1 : end + 1], texts[start + 1 : end + 1]
    return _Walker(markup(texts, found), _literal, definitions).text()


def text_of(html: str) -> str:
    """Return the text alternative of a finished page: what its template would have given."""
    return finished(_Walker(Markup(html, (), ()), str, {}).text())


def finished(text: str) -> str:
    r"""Return a rendered text alternative as it is sent.

    Whitespace in lines is one space, lines end in ``\n``, at most one line in a row is empty, and
    no whitespace stands at either end.
    """
    text = _in_one_space(text)
    if _LIST in text or _LIST_END in text:
        text = _with_paragraphs_of_lists(text)
    if _LINK in text:
        text = _LINKS.sub(_link, text)
    if _LINK in text or _LABEL in text or _LINK_END in text:
        # Of tags that are not closed, or not opened, or from a value.
        text = text.translate(_WITHOUT_LINK_MARKS)
    if "  " in text:
        text = " ".join(text.split())
    pieces = _RUN.split(text)
    pieces[1::2] = [_newlines(run) for run in pieces[1::2]]
    return "".join(pieces).replace(" \n", "\n").strip()


def _with_paragraphs_of_lists(text: str) -> str:
    """Return ``text`` with the outermost lists as paragraphs, and those in lists on own lines."""
    depth = 0

    def break_(match: re.Match[str]) -> str:
        nonlocal depth
        depth = max(0, depth + (1 if match[0] == _LIST else -1))
        return _PARAGRAPH if depth == (match[0] == _LIST) else _LINE

    return _LISTS.sub(break_, text)


def _in_one_space(text: str) -> str:
    """Return ``text`` with one space in the place of each run of whitespace.

    Most texts are so already, which is seen in a tenth of the time.
    """
    if text.isascii() and "  " not in text:
        raw = text.encode()
        if len(raw.translate(None, _WHITESPACE)) == len(raw):
            return text
    return " ".join(text.split())


def _link(match: re.Match[str]) -> str:
    label = match[2]
    address = match[1].strip()
    scheme, colon, rest = address.partition(":")
    scheme = scheme.lower() if colon else ""
    if not address or address[0] == "#" or scheme == "javascript":
        return label  # the address leads nowhere from a text
    shown = rest if scheme in _UNSHOWN else address
    text = label.strip(_EDGE)
    if text and text not in {address, shown}:
        shown = f"{text} ({shown})"
    told = label.replace(text, shown, 1) if text else label + shown
    # Links of a menu often touch.
    return f"{told} " if match.string.startswith(_LINK, match.end()) else told


@lru_cache(maxsize=256)
def _newlines(run: str) -> str:
    """Return what breaks that meet come to."""
    item = ""
    if _ITEM in run:
        before, _, after = run.rpartition(_ITEM)
        if _ITEM_END not in after:
            # What an item begins with, a paragraph say, begins beside its dash.
            run = before
            item = "- "
    # A line break is an empty line unless it is what ends the line.
    if _PARAGRAPH in run or run.rfind(_BREAK) > 0:
        return f"\n\n{item}"
    return f"\n{item}"


def _definitions(found: list[Tag]) -> list[tuple[int, int]]:
    """Return the first and last tags of the outermost macros and captures.

    What they hold is a piece of HTML of its own, whatever it is that they stand in.
    """
    pairs = []
    open_: list[tuple[str, int]] = []
    for index, tag in enumerate(found):
        if tag.word == "macro" or (tag.word == "set" and _CAPTURE.match(tag.inner)):
            open_.append((f"end{tag.word}", index))
        elif open_ and tag.word == open_[-1][0]:
            _, start = open_.pop()
            if not open_:
                pairs.append((start, index))
    return pairs


def _written(tag: Tag) -> str:
    """Return the tag without whitespace control, which is for the text that stood there."""
    return f"{{{{ {tag.inner} }}}}" if tag.kind is Kind.PRINT else f"{{% {tag.inner} %}}"


def _literal(text: str) -> str:
    return _TAG_START.sub('{{ "{" }}', text) if "{" in text else text


def _reading(text: str) -> str:
    return unescape(text) if "&" in text else text


class _State(NamedTuple):
    """Which element hides a place, if any, and how many of its name have begun since."""

    hidden: str
    depth: int

    def merged(self, other: "_State") -> "_State":
        """Return the state after alternatives; text is rather shown than lost."""
        if self.hidden != other.hidden:
            return _State("", 0)
        return _State(self.hidden, min(self.depth, other.depth))


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


class _Walker:
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
        self._state = _State("", 0)

    def text(self) -> str:
        mask = self._source.mask
        for token in tokens(mask):
            if self._position < token.start:
                self._pass(token.start, _reading)
            if token.sort == "start":
                self._start(token)
            elif token.sort == "end":
                self._end(token)
            elif token.sort == "raw" and token.name in _SHOWN_RAW:
                self._pass(token.end, _reading)
            self._pass(token.end)
        self._pass(len(mask), _reading)
        return "".join(self._parts)

    def _start(self, token: Token) -> None:
        name = token.name
        hidden, depth = self._state
        if hidden == "head" and name not in _IN_HEAD:
            self._state = _State("", 0)
        elif hidden:
            # A paragraph ends where the next one begins.
            if name == hidden and name != "p":
                self._state = _State(hidden, depth + 1)
            return
        if self._hides(token):
            self._pass(token.end)
            if name not in _VOID:
                self._state = _State(name, 1)
            return
        if name in _COUNTED_START:
            self._show(_COUNTED_START[name])
        elif mark := _START_MARKS.get(name):
            self._mark(mark)
        elif name in _SHOWN_ATTRIBUTES:
            self._attribute(token, *_SHOWN_ATTRIBUTES[name])

    def _end(self, token: Token) -> None:
        name = token.name
        hidden, depth = self._state
        if hidden:
            if name == hidden:
                self._state = _State(hidden if depth > 1 else "", depth - 1)
        elif name in _COUNTED_END:
            self._show(_COUNTED_END[name])
        elif mark := _END_MARKS.get(name):
            self._mark(mark)

    def _hides(self, token: Token) -> bool:
        source = self._source
        if token.name in _HIDDEN:
            return source.mask[token.end - 2] != "/"
        if _MAY_HIDE.search(source.mask, token.inside, token.inside_end) is None:
            return False
        # An attribute within a block stands there in some renders only.
        index = self._tag
        blocks = 0
        for attribute in attributes(source.mask, token):
            while self._places[index] < attribute.start:
                word = source.tags[index].word
                blocks += (word in _OPENING) - (word[3:] in _OPENING)
                index += 1
            if not blocks and self._is_hiding(attribute):
                return True
        return False

    def _is_hiding(self, attribute: Attribute) -> bool:
        if attribute.name == "style":
            value = self._source.mask[attribute.value : attribute.value_end]
            return BLOCK not in value and _DISPLAY_NONE.search(value) is not None
        return attribute.name == "hidden"

    def _attribute(self, token: Token, name: str, before: str, after: str) -> None:
        mask = self._source.mask
        last = None
        for attribute in attributes(mask, token):
            # Of two of a name the second does not count, unless it is an alternative.
            if attribute.name == name and (
                last is None or mask.find(BLOCK, last, attribute.start) >= 0
            ):
                last = attribute.end
                self._pass(attribute.value)
                self._show(before)
                self._pass(attribute.value_end, decoded)
                self._show(after)

    def _pass(self, end: int, reading: Callable[[str], str] | None = None) -> None:
        """Go on to ``end``; what stands before it is text if ``reading`` is given, else dropped."""
        while self._places[self._tag] < end:
            place, tag = self._places[self._tag], self._source.tags[self._tag]
            if reading is not None:
                self._text(place, reading)
            self._position = place + 1
            self._tag += 1
            shown = reading is not None and not self._state.hidden
            if not prints(tag):
                self._block(tag, shown=shown)
            elif shown:
                self._show(_written(tag))
        if reading is not None:
            self._text(end, reading)
        self._position = end

    def _text(self, end: int, reading: Callable[[str], str]) -> None:
        if self._position < end and not self._state.hidden:
            text = self._source.mask[self._position : end]
            if text.isspace():
                self._mark(" ")
            else:
                self._show(self._literal(_SPACES.sub(" ", reading(text))))

    def _mark(self, mark: str) -> None:
        """Write a mark or a space, unless it stands there already."""
        last = self._parts[-1] if self._parts else ""
        if not last.endswith(mark if mark != " " else _ABOVE_A_SPACE):
            self._show(mark)

    def _show(self, part: str) -> None:
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
        self._parts.append(self._definitions.get(tag.start) or _written(tag))

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
        self._parts.append(_written(tag))
