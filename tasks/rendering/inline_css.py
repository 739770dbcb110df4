"""Writes the rules of ``<style>`` into the elements that they select, in a template's source.

The library reads and writes whole pages, and would rewrite a template: a loop in a table is moved
out of it, tags of the engine in attributes are cut. So it gets a skeleton of the page, with each
element numbered, and only the styles that it computes are taken from its answer. The source stays
as it is but for its ``style`` attributes; style sheets stay too, with their media queries.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import Final

from css_inline import CSSInliner

from tasks.rendering.explain import SourceError
from tasks.rendering.html.markup import (
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
from tasks.rendering.plain_text.elements import IN_HEAD
from tasks.rendering.tags import STRING, Kind, Tag, tags

_NUMBER: Final = "data-inline-css-number"
_PLACEHOLDER: Final = "tsplaceholder{}z"
_PLACEHOLDERS: Final = re.compile(r"tsplaceholder(\d+)z")
_ELEMENT: Final = re.compile(r"[a-z][a-z0-9:-]*")
_ATTRIBUTE: Final = re.compile(r"[a-zA-Z_:][\w:.-]*")
_NAME: Final = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_BINDING: Final = {
    "for": re.compile(r"for\s+(.+?)\s+in\b", re.DOTALL),
    "set": re.compile(r"set\s+([\w\s,]+)"),
    "with": re.compile(r"with\s+(.+)", re.DOTALL),
    "macro": re.compile(r"macro\s+\w+\s*\((.*)\)", re.DOTALL),
}
_COUNTING: Final = re.compile(r":(?:nth|first|last|only)-|:has\(|:empty|[+~]")
"""Selectors that depend on what else is on the page."""

_SELECTING: Final = re.compile(r"[^{};]*\{")
_CONDITIONAL: Final = frozenset({"call", "for", "if", "macro", "set"})
_BRANCHES: Final = frozenset({"elif", "else"})
_OPENING: Final = frozenset({"block", "call", "filter", "for", "if", "macro", "with"})
_OUTER: Final = {
    "tr": "<table><tbody>",
    "td": "<table><tbody><tr>",
    "th": "<table><tbody><tr>",
    "tbody": "<table>",
    "thead": "<table>",
    "tfoot": "<table>",
}
_UNSTYLED: Final = IN_HEAD | {"html"}


_Piece = tuple[int, Tag | None, str]
"""A place of the mask, and what is there: a tag of the engine, or a part of the skeleton."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A source with its mask, and the offsets that lead from the mask to the source."""

    text: str
    path: str
    page: Markup
    lengths: list[int]

    def place(self, position: int) -> int:
        """Return the offset in the source of a position in the mask."""
        before = self._before(position)
        return position + (self.lengths[before - 1] if before else 0)

    def refuse(self, kind: str, message: str, position: int) -> SourceError:
        """Return the error of something at a position in the mask."""
        return SourceError.syntax(self.path, kind, message, self.text, self.place(position))

    def tags(self, start: int, end: int) -> Iterator[tuple[int, Tag]]:
        """Yield the engine's tags from ``start`` to before ``end``, with their positions."""
        for index in range(self._before(start), self._before(end)):
            yield self.page.places[index], self.page.tags[index]

    def _before(self, position: int) -> int:
        low, high = 0, len(self.page.places)
        while low < high:
            middle = (low + high) // 2
            if self.page.places[middle] < position:
                low = middle + 1
            else:
                high = middle
        return low


@dataclass(frozen=True, slots=True)
class _Element:
    """An element that may get a style."""

    token: Token
    style: Attribute | None


def inlined(source: str, path: str) -> str:
    """Return the source of a body with the rules of its style sheets in its elements.

    Raises
    ------
    SourceError
        The body has no style sheet, or it is unknown which rules apply to an element.
    """
    page = _read(source, path)
    skeleton: list[tuple[int, str]] = []
    elements: list[_Element] = []
    css_tags: list[Tag] = []
    has_css = False
    for token in tokens(page.page.mask):
        if token.sort == "start":
            skeleton.append((token.start, _opening(page, token, elements)))
        elif token.sort == "end":
            skeleton.append((token.start, f"</{token.name}>"))
        elif token.sort == "raw" and token.name == "style":
            _require_unconditional(page, token)
            css = _css(page, token, css_tags)
            has_css = has_css or bool(css.strip())
            skeleton.append((token.start, css))
    if not has_css:
        raise SourceError.syntax(
            path,
            "no_styles",
            "inline_css has no <style> to inline: rules of a layout are inlined into the layout "
            "only, when that is published with inline_css; put a <style> into this source, or "
            "leave inline_css out",
            source,
            None,
        )
    every = _every_style("".join(text for _, text in skeleton), elements)
    styles = {number: style for number, style in every if style is not None}
    _require_same_everywhere(page, skeleton, elements, styles)
    return _with_styles(page, elements, styles, css_tags)


def _read(source: str, path: str) -> _Source:
    parts: list[str] = []
    places: list[int] = []
    found = tags(source)
    last = length = 0
    for tag in found:
        parts += [source[last : tag.start], PRINT if prints(tag) else BLOCK]
        length += tag.start - last
        places.append(length)
        length += 1
        last = tag.end
    mask = "".join([*parts, source[last:]])
    lengths = list(accumulate(tag.end - tag.start - 1 for tag in found))
    return _Source(source, path, Markup(mask, places, found), lengths)


def _opening(page: _Source, token: Token, elements: list[_Element]) -> str:
    """Return the start tag of an element in the skeleton, and record the element."""
    if not _ELEMENT.fullmatch(token.name):
        return ""
    mask = page.page.mask
    given: dict[str, str] = {}
    style = None
    for attribute in attributes(mask, token):
        name = attribute.name
        value = mask[attribute.value : attribute.value_end]
        if name in {"class", "style"}:
            _require_fixed(page, token, attribute, value)
        if name == "style":
            style = style or attribute
        elif _ATTRIBUTE.fullmatch(name):
            text = value.replace(PRINT, "").replace(BLOCK, "").replace('"', "&quot;")
            given.setdefault(name, text)
    if token.name not in _UNSTYLED:
        given[_NUMBER] = str(len(elements))
        elements.append(_Element(token, style))
    written = "".join(f' {name}="{value}"' for name, value in given.items())
    return f"<{token.name}{written}>"


def _require_fixed(page: _Source, token: Token, attribute: Attribute, value: str) -> None:
    """Make sure that an element has the same class in every render, and at most one style."""
    if _depth(page, token.start, attribute.start, _OPENING) > 0:
        message = (
            f"inline_css needs one {attribute.name} attribute in every render: write the tag "
            "twice, with {% if %} around each"
        )
        raise page.refuse("inline_css", message, attribute.start)
    if attribute.name == "class" and (PRINT in value or BLOCK in value):
        message = (
            "inline_css cannot tell which rules apply to a class that is not written out: write "
            "the tag twice, with {% if %} around each"
        )
        raise page.refuse("inline_css", message, attribute.start)


def _css(page: _Source, token: Token, css_tags: list[Tag]) -> str:
    """Return a style sheet with identifiers instead of its placeholders."""
    mask = page.page.mask
    parts: list[str] = []
    last = token.start
    for position, tag in page.tags(token.start, token.end):
        parts.append(mask[last:position])
        last = position + 1
        if tag.kind is Kind.PRINT:
            _require_no_selector(page, token, position)
            _require_global(page, position, tag)
            parts.append(_PLACEHOLDER.format(len(css_tags)))
            css_tags.append(tag)
        elif tag.kind is not Kind.COMMENT and tag.word not in {"raw", "endraw"}:
            message = (
                f"inline_css cannot tell which rules {{% {tag.word} %}} gives: write them out, or "
                "put them into the <style> of a partial that is included next to this one"
            )
            raise page.refuse("inline_css", message, position)
    return "".join([*parts, mask[last : token.end]])


def _require_unconditional(page: _Source, token: Token) -> None:
    """Make sure that a style sheet is there in every render."""
    if _depth(page, 0, token.start, _CONDITIONAL) > 0:
        message = (
            "inline_css cannot tell whether a <style> within a block is there: write it outside of "
            "{% if %}, and the condition around elements of another class"
        )
        raise page.refuse("inline_css", message, token.start)


def _depth(page: _Source, start: int, end: int, words: frozenset[str]) -> int:
    """Return how many blocks of these words begin between two places and do not end there."""
    depth = 0
    for _, tag in page.tags(start, end):
        opens = tag.word in words and not (tag.word == "set" and "=" in tag.inner)
        depth += opens - (tag.word[:3] == "end" and tag.word[3:] in words)
    return depth


def _require_no_selector(page: _Source, token: Token, position: int) -> None:
    """Make sure that a placeholder is in a value, or in the condition of an at-rule."""
    mask = page.page.mask
    before = re.split("[{};]", mask[token.start : position])[-1]
    if _SELECTING.match(mask, position, token.end) and not before.lstrip().startswith("@"):
        message = "inline_css cannot tell which elements a placeholder selects: write the rule out"
        raise page.refuse("inline_css", message, position)


def _require_global(page: _Source, position: int, tag: Tag) -> None:
    """Make sure that a placeholder of a style sheet means the same at every element."""
    used = set(_NAME.findall(STRING.sub("", tag.inner)))
    depth = 0
    set_before: set[str] = set()
    for place, other in page.tags(0, len(page.page.mask)):
        depth -= other.word[:3] == "end" and other.word[3:] in _OPENING
        bound = _bound(other) & used
        is_early = other.word == "set" and not depth and place < position
        if is_early and not bound & set_before:
            # Set once, for the whole page.
            set_before |= bound
            bound = set()
        if bound:
            name = min(bound)
            message = (
                f"inline_css cannot inline {name}, which has another value elsewhere in this "
                "source ({% for %}, {% set %}, {% with %}, {% macro %}): use another name there"
            )
            raise page.refuse("inline_css", message, position)
        depth += other.word in _OPENING


def _bound(tag: Tag) -> set[str]:
    pattern = _BINDING.get(tag.word)
    match = pattern.match(tag.inner) if pattern is not None else None
    if match is None:
        return set()
    inside = match[1]
    if tag.word == "with":
        return {part.rpartition(",")[2].strip() for part in inside.split("=")[:-1]}
    return set(_NAME.findall(STRING.sub("", inside)))


def _every_style(skeleton: str, elements: list[_Element]) -> Iterator[tuple[int, str | None]]:
    """Yield the number of each element of a page, and the styles that the rules give to it."""
    outer = _OUTER.get(elements[0].token.name, "") if elements else ""
    inliner = CSSInliner(keep_style_tags=False, load_remote_stylesheets=False)
    page = inliner.inline(outer + skeleton)
    for token in tokens(page):
        if token.sort != "start":
            continue
        given = {
            attribute.name: page[attribute.value : attribute.value_end]
            for attribute in attributes(page, token)
        }
        if _NUMBER in given:
            style = given.get("style")
            yield int(given[_NUMBER]), None if style is None else decoded(style)


def _require_same_everywhere(
    page: _Source,
    skeleton: list[tuple[int, str]],
    elements: list[_Element],
    styles: dict[int, str],
) -> None:
    """Make sure that no rule chooses by what some renders have and others have not.

    With each loop's elements twice in the page, without the branches of conditions, and with a
    text for each print, every element has the styles that it has in the source.
    """
    if not any(_COUNTING.search(text) for _, text in skeleton):
        return
    for variant in _variants(page, skeleton):
        for number, style in _every_style(variant, elements):
            if style != styles.get(number):
                message = (
                    "inline_css cannot tell which elements a rule selects that asks what else is "
                    "on the page, as :nth-child(odd), p + p and :empty do, where a loop, a "
                    "condition or a value decides that: write the tag twice, with {% if %} around "
                    "one, and a class in each"
                )
                raise page.refuse("inline_css", message, elements[number].token.start)


def _variants(page: _Source, skeleton: list[tuple[int, str]]) -> Iterator[str]:
    """Yield skeletons of pages that renders of the source may give."""
    pieces: list[_Piece] = [(place, None, text) for place, text in skeleton]
    pieces += [(place, tag, "") for place, tag in page.tags(0, len(page.page.mask))]
    pieces.sort(key=lambda piece: piece[0])
    yield _with_loops_twice(pieces)
    branches = _branches(pieces)
    for gone in (branches, *([branch] for branch in branches)):
        yield "".join(
            text
            for index, (_, _, text) in enumerate(pieces)
            if not any(start < index < end for start, end in gone)
        )
    yield "".join("x" if tag is not None and prints(tag) else text for _, tag, text in pieces)


def _branches(pieces: list[_Piece]) -> list[tuple[int, int]]:
    """Return the branches of conditions: between which pieces each is."""
    found: list[tuple[int, int]] = []
    open_: list[int] = []
    for index, (_, tag, _) in enumerate(pieces):
        word = "" if tag is None else tag.word
        if word in _BRANCHES | {"endif"} and open_:
            found.append((open_.pop(), index))
        if word == "if" or word in _BRANCHES:
            open_.append(index)
    return found


def _with_loops_twice(pieces: list[_Piece]) -> str:
    loops = [""]
    for _, tag, text in pieces:
        word = "" if tag is None else tag.word
        if word == "for":
            loops.append("")
        elif word == "endfor" and len(loops) > 1:
            inside = loops.pop()
            loops[-1] += inside + inside
        else:
            loops[-1] += text
    return "".join(loops)


def _with_styles(
    page: _Source, elements: list[_Element], styles: dict[int, str], css_tags: list[Tag]
) -> str:
    source = page.text
    parts: list[str] = []
    last = 0

    def placeholder(match: re.Match[str]) -> str:
        tag = css_tags[int(match[1])]
        return source[tag.start : tag.end]

    for number, style in sorted(styles.items()):
        element = elements[number]
        css = _PLACEHOLDERS.sub(placeholder, escape(style.strip()))
        own = element.style
        if own is None:
            start = end = page.place(element.token.inside)
            written = f' style="{css}"'
        else:
            start, end = page.place(own.start), page.place(own.end)
            value = source[page.place(own.value) : page.place(own.value_end)].strip()
            # What the element says itself comes last, and so counts, as it does in CSS.
            quote = source[page.place(own.value) - 1] if own.quoted else '"'
            both = f"{css.rstrip(';')}; {value}" if value else css
            written = f"style={quote}{both}{quote}"
        parts += [source[last:start], written]
        last = end
    return "".join([*parts, source[last:]])
