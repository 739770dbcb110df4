"""MJML: the source of an e-mail's body, compiled to HTML when it is published.

The library knows nothing of the template engine, so each tag of the engine is a word while it
compiles, and comes back as it was. The words also say which place of the source a place of the HTML
comes from. Words that are missing from the HTML stood where MJML reads a number or drops what it
does not know, and are refused: nothing that an author wrote is lost unnoticed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import mrml

from tasks.rendering.explain import SourceError
from tasks.rendering.html.markup import tokens
from tasks.rendering.plain_text.elements import VOID
from tasks.rendering.tags import Kind, Tag, tags

DEPTH: Final = 100
"""Elements in one another. The library's parser is recursive: some 1,000 end its process."""

_WORD: Final = "tsmjml"
_PRIVATE_USE: Final = range(0xE000, 0xF900)
_PLACE: Final = re.compile(r" ?in root template(?: at position (\d+):(\d+))?")
_LEFT: Final = re.compile(r"<(mj-?[\w-]*)", re.IGNORECASE)
_STRICT: Final = re.compile(
    r"""</?[a-zA-Z][\w:.-]*(?:\s+[\w:@.-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'))?)*\s*/?>"""
)
_BEFORE_ROOT: Final = re.compile(r"(?:\s|<!--.*?-->)*", re.DOTALL)
# What XML and HTML begin with, and the library does not read.
_PROLOG: Final = re.compile(r"\ufeff?\s*(?:<\?xml[^<>]*>\s*)?(?:<!doctype[^<>]*>)?", re.IGNORECASE)
_BARE: Final = re.compile(r"<(?![a-zA-Z/!?])")
_CONDITION: Final = re.compile(r"<!--\[if|<!\[endif", re.IGNORECASE)
_SPACE: Final = re.compile(r"[ \t\r\n]+")
# Elements whose content is other elements of MJML; the others hold texts and HTML.
_CONTAINERS: Final = frozenset(
    {"mjml", "mj-head", "mj-attributes", "mj-body", "mj-wrapper", "mj-section", "mj-group"}
    | {"mj-column", "mj-hero", "mj-accordion", "mj-accordion-element", "mj-navbar", "mj-social"}
    | {"mj-carousel"}
)
_OPTIONS: Final = mrml.ParserOptions(include_loader=mrml.noop_loader())
# No font is loaded from another host unless the author names it in mj-font.
_RENDERING: Final = mrml.RenderOptions(fonts={})


@dataclass(frozen=True, slots=True)
class Compiled:
    """HTML of an MJML source.

    ``spans`` has for each tag of the engine where it begins and ends in the HTML, and where it
    begins in the source; a tag may be in the HTML more than once.
    """

    html: str
    spans: list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class _Source:
    """A source with a word for each tag, and where each tag is among the words.

    ``line_break`` is among the words for line breaks that the library would drop.
    """

    text: str
    path: str
    words: str
    tags: list[Tag]
    places: list[int]
    pattern: re.Pattern[str]
    line_break: str

    def place(self, position: int) -> int:
        """Return the offset in the source of an offset among the words."""
        moved = 0
        for place, tag in zip(self.places, self.tags, strict=True):
            match = self.pattern.match(self.words, place)
            if place >= position or match is None:
                break
            if position < match.end():
                return tag.start
            moved = tag.end - match.end()
        return position + moved

    def refuse(self, message: str, position: int | None) -> SourceError:
        """Return the error of something at a position among the words."""
        place = None if position is None else self.place(position)
        return self.refuse_at(message, place)

    def refuse_at(self, message: str, place: int | None) -> SourceError:
        """Return the error of something at an offset in the source."""
        return SourceError.syntax(self.path, "mjml", message, self.text, place)


def compiled(source: str, path: str) -> Compiled:
    """Return the HTML of an MJML source.

    Raises
    ------
    SourceError
        It is not MJML, or a tag of the engine is where MJML has no place for it.
    """
    page = _read(source, path)
    _check(page)
    try:
        html = mrml.to_html(page.words, _OPTIONS, _RENDERING).content
    except OSError as error:
        raise _explained(page, str(error)) from None
    html = html.replace(page.line_break, "\n")
    written, spans = _written(page, html)
    _require_all(page, {start for _, _, start in spans}, html)
    return Compiled(written, spans)


def _read(source: str, path: str) -> _Source:
    prefix = _WORD
    while prefix in source:
        prefix += "q"
    parts: list[str] = []
    places: list[int] = []
    kept: list[Tag] = []
    last = length = 0
    for tag in tags(source):
        text = source[last : tag.start]
        word = "" if tag.kind is Kind.COMMENT else f"{prefix}{len(kept)}z"
        if word:
            places.append(length + len(text))
            kept.append(tag)
        parts += [text, word]
        length += len(text) + len(word)
        last = tag.end
    line_break = next(mark for mark in map(chr, _PRIVATE_USE) if mark not in source)
    words = "".join([*parts, source[last:]])
    words = _spaced(_PROLOG.sub(lambda match: "\n" * len(match[0]), words, count=1), line_break)
    pattern = re.compile(rf"{prefix}(\d+)z")
    return _Source(source, path, words, kept, places, pattern, line_break)


def _spaced(words: str, line_break: str) -> str:
    """Return the words with whitespace between elements as the library reads it; of one length.

    It drops whitespace between two tags if that begins with a line feed, also between two words of
    a text, and takes other whitespace for text, also where MJML has no place for text.
    """
    parts = []
    last = 0
    open_: list[str] = []
    is_edge = True
    for token in tokens(words):
        was_edge, is_edge = is_edge, _is_own(token.name)
        if _SPACE.fullmatch(words, last, token.start):
            if open_ and open_[-1] in _CONTAINERS:
                parts.append("\n")
                last += 1
            elif words[last] == "\n" and not (was_edge or is_edge):
                parts.append(line_break)
                last += 1
        parts.append(words[last : token.end])
        last = token.end
        if is_edge and token.sort == "start" and words[last - 2] != "/":
            open_.append(token.name)
        elif is_edge and token.sort == "end" and open_:
            open_.pop()
    return "".join([*parts, words[last:]])


def _is_own(name: str) -> bool:
    """Return whether an element is one of MJML."""
    return name == "mjml" or name.startswith("mj-")


def _check(page: _Source) -> None:
    """Make sure that elements are closed: the library does not say where they are not."""
    if (bare := _BARE.search(page.words)) is not None and not _in_style(page.words, bare.start()):
        raise page.refuse("a '<' that begins no element is written &lt;", bare.start())
    root = _BEFORE_ROOT.match(page.words)
    begins = root.end() if root is not None else 0
    if not page.words.startswith("<mjml", begins):
        message = "MJML begins with <mjml>: tags of the template engine belong in <mj-body>"
        raise page.refuse(message, begins)
    open_: list[tuple[str, int]] = []
    for name, start, sort in _elements(page.words):
        if sort == "start":
            open_.append((name, start))
            if len(open_) > DEPTH:
                raise page.refuse(f"elements are nested more than {DEPTH} deep", start)
        elif not open_ or open_[-1][0] != name:
            inside = f", the open element is <{open_[-1][0]}>" if open_ else ""
            raise page.refuse(f"</{name}> closes nothing here{inside}", start)
        else:
            open_.pop()
    if open_:
        raise page.refuse(f"<{open_[-1][0]}> is not closed", open_[-1][1])


def _in_style(words: str, position: int) -> bool:
    before = words.rfind("<mj-style", 0, position)
    return before >= 0 and words.find("</mj-style", before, position) < 0


def _elements(words: str) -> Iterator[tuple[str, int, str]]:
    """Yield the start and end tags of MJML's elements; HTML inside them is HTML's affair."""
    for token in tokens(words):
        if token.sort not in {"start", "end"}:
            continue
        if _is_own(token.name):
            yield token.name, token.start, token.sort
            if token.sort == "start" and words[token.end - 2 : token.end] == "/>":
                yield token.name, token.start, "end"


def _explained(page: _Source, message: str) -> SourceError:
    """Return the library's error with its place in the source."""
    match = _PLACE.search(message)
    text = _PLACE.sub("", message)
    if "unable to load included template" in message:
        text = "mj-include is not available: include a partial with {% include %}, in mj-raw"
    if match is None or match[1] is None:
        return _unreadable(page, text)
    # The library counts bytes.
    position = len(page.words.encode()[: int(match[1])].decode(errors="ignore"))
    if page.pattern.match(page.words, position) is not None:
        text = "a tag of the template engine cannot be between these elements"
    elif _CONDITION.match(page.words, position) is not None:
        text = "conditional comments belong in <mj-raw>"
    return page.refuse(f"this is not MJML: {text}", position)


def _unreadable(page: _Source, message: str) -> SourceError:
    """Return an error for which the library has no place: most are attributes not as in XML."""
    for token in tokens(page.words):
        if token.sort in {"start", "end"} and not _STRICT.fullmatch(
            page.words, token.start, token.end
        ):
            text = f'this is not MJML: an attribute of <{token.name}> is written name="value"'
            return page.refuse(text, token.start)
    if (left := _unclosed(page.words)) is not None:
        name, place = left
        return page.refuse(f"this is not MJML: <{name}> is not closed here, as in XML", place)
    return page.refuse(f"this is not MJML: {message}", None)


def _unclosed(words: str) -> tuple[str, int] | None:
    """Return an element, of HTML too, that is open where another one ends, and where that is."""
    open_: list[tuple[str, int]] = []
    for token in tokens(words):
        if token.sort == "start" and token.name not in VOID and words[token.end - 2] != "/":
            open_.append((token.name, token.start))
        elif token.sort == "end" and open_:
            name, start = open_.pop()
            if name != token.name:
                return name, start
    return open_[-1] if open_ else None


def _written(page: _Source, html: str) -> tuple[str, list[tuple[int, int, int]]]:
    """Return the HTML with the engine's tags, and where they are."""
    parts: list[str] = []
    spans: list[tuple[int, int, int]] = []
    last = length = 0
    for match in page.pattern.finditer(html):
        tag = page.tags[int(match[1])]
        before = html[last : match.start()]
        written = page.text[tag.start : tag.end]
        start = length + len(before)
        spans.append((start, start + len(written), tag.start))
        parts += [before, written]
        length = start + len(written)
        last = match.end()
    return "".join([*parts, html[last:]]), spans


def _require_all(page: _Source, used: set[int], html: str) -> None:
    """Make sure that the HTML has all tags of the engine, and no element of MJML."""
    for tag in page.tags:
        if tag.start not in used:
            message = (
                "MJML has no place for this: it would be lost. Write out widths and attributes "
                "that MJML computes with, and put whole attributes' values into one tag"
            )
            raise page.refuse_at(message, tag.start)
    if (left := _LEFT.search(html)) is not None:
        name = left[1]
        place = page.words.find(f"<{name}")
        message = f"<{name}> is not an element of MJML, or must not be here"
        raise page.refuse(message, place if place >= 0 else None)
