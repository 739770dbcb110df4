"""Unsafe positions of values in HTML: pure, no I/O.

Values are escaped, which holds them in text and in quoted attribute values and nowhere else.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from operator import itemgetter
from typing import Final

from tasks.rendering.html.markup import (
    BLOCK,
    PRINT,
    Attribute,
    Markup,
    Token,
    attributes,
    conditional,
    decoded,
    markup,
    pieces,
    printing,
    prints,
    tokens,
)
from tasks.rendering.html.styles import (
    COMMENT,
    DECLARATION,
    GLUED,
    IMPORT,
    RULE,
    Position,
    style_positions,
)
from tasks.rendering.places import Fault
from tasks.rendering.tags import Tag

_IN_NAME: Final = (
    "a placeholder cannot be part of the name of an element or attribute: use {% if %} around "
    "names that are written out, or write &lt; where a less-than sign is meant"
)
_BARE: Final = (
    "a placeholder cannot be between attributes: write attributes out, each with a quoted "
    "value, and use {% if %} around optional ones"
)
_CAPTURED: Final = re.compile(
    r"\{%[-+]?\s*(?:set\s+(\w+)\s*[-+]?%\}|macro\s+(\w+)[^%]{0,500}%\}|call\b[^%]{0,500}%\})"
    r"(.{0,2000}?)\{%[-+]?\s*end(?:set|macro|call)\b",
    re.DOTALL,
)
_TEMPLATE_TAG: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_FIRST_NAME: Final = re.compile(r"[-+\s]*(\w+)")
_BOUND: Final = re.compile(
    r"\{%[-+]?\s*(?:macro\s+\w+\s*\(([^)]{0,500})\)|for\s+([\w\s,]{1,200}?)\s+in\b|set\s+(\w+)\s*=)"
)
_READ: Final = re.compile(r"\|\s*(?:striptags|tojson)\b")
_MARKUP_TAG: Final = re.compile(r"<[A-Za-z/!]")
_BREAKS: Final = (
    "a {% set %} block, macro or call with a tag or this quote would end the attribute: print the "
    "values themselves here, or a name that {% set name = value %} gives"
)
_UNQUOTED: Final = "a placeholder is in an attribute value without quotes: quote the value"
_EVENT_HANDLER: Final = (
    "a placeholder cannot be in an event handler, whose value is a program: put the value into "
    "an attribute named data-..."
)
_SRCDOC: Final = (
    "a placeholder cannot be in srcdoc, whose value is read as HTML again: put it into the page"
)
_SCRIPT: Final = (
    "a placeholder cannot be in a script: put the value into an attribute named data-..., "
    "which the script reads"
)
_UNDECODED: Final = (
    "a placeholder cannot be in <{}>, whose text is shown without its references read: use <pre>"
)
_DATA: Final = (
    "a placeholder in a script of JSON needs tojson as its last filter, as in {{ name | tojson }}"
)
_QUOTED_DATA: Final = (
    "a placeholder cannot be within quotes in a script of JSON: write {{ name | tojson }} in "
    "the place of the whole value, which brings its own quotes"
)
# Tags of the template may be between the parts of a tag, and hold quotes.
_STYLED = re.compile(
    r"""style\s*(?:=\s*(?:"[^"]*?\{[{%]|'[^']*?\{[{%]|[^\s"'])|\{)|[<}]\s*(?:style|script)"""
    r"""|<(?:iframe|noembed|noframes|plaintext|xmp)"""
)
_UNDECODED_ELEMENTS: Final = {
    name: _UNDECODED.format(name) for name in ("iframe", "noembed", "noframes", "plaintext", "xmp")
}
"""HTML standard, section 13.2.6.4: elements whose text is raw, except styles and scripts."""
_OF_CODE: Final = frozenset(
    {COMMENT, DECLARATION, GLUED, IMPORT, RULE, _DATA, _QUOTED_DATA, *_UNDECODED_ELEMENTS.values()}
)
_BLOCK_NAME = re.compile(r"include block\s+(\w+)")
_TO_JSON = re.compile(r"\|\s*tojson\s*(?:\(\s*\))?\Z")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_TEXT = r"""(?:"[^"\\]*"|'[^'\\]*')"""
# Texts of the template only, perhaps under a condition.
_LITERAL = re.compile(rf"{_TEXT}(?:\s+if\s[^\"'|]*?(?:\selse\s+{_TEXT})?)?", re.DOTALL)
_NAMELESS = re.compile(rf"</?{BLOCK}*+{PRINT}")
_DATA_TYPE = re.compile(
    r"\s*(?:application/json|[\w.-]+/[\w.+-]+\+json)\s*(?:;[^\x1a\x1b]*)?", re.IGNORECASE
)


def unsafe_prints(source: str) -> list[Fault]:
    """Return the prints and includes of an HTML template that are where they must not be.

    They may be in text, in quoted values of attributes other than event handlers and
    ``srcdoc``, in comments, in elements that hold text only, and at those places of styles and
    scripts of data for which :func:`positions` has a kind. Branches are read one after the other,
    as they stand; comments for Outlook are read as HTML. Includes in styles and scripts of data are
    let pass: see :func:`includes_in_code`.
    """
    return [
        Fault(tag.start, what)
        for tag, what in _judged(*pieces(source))
        if not isinstance(what, Position) and not (tag.word == "include" and what in _OF_CODE)
    ]


def markup_in_attributes(source: str) -> Iterator[Fault]:
    """Yield the prints of set blocks, macros and calls in attributes that their markup breaks."""
    texts = _captured(source)
    if not texts:
        return
    page = markup(*pieces(source))
    for token in tokens(page.mask, 0, len(page.mask)):
        if token.sort in {"comment", "raw"}:
            continue
        for attribute in attributes(page.mask, token):
            quote = page.mask[attribute.value - 1 : attribute.value]
            for index in printing(page, attribute.value, attribute.value_end):
                tag = page.tags[index]
                used = _FIRST_NAME.match(tag.inner)
                if used is None or not attribute.quoted or _READ.search(tag.inner) is not None:
                    continue
                text = texts.get(used[1], "")
                if quote in text or _MARKUP_TAG.search(text) is not None:
                    yield Fault(tag.start, _BREAKS)


def _captured(source: str) -> dict[str, str]:
    """Return the texts of short set, macro and call blocks by their names, without template tags.

    That of a call block is what ``caller`` gives.
    """
    texts: dict[str, str] = {}
    for match in _CAPTURED.finditer(source):
        name = match[1] or match[2] or "caller"
        texts[name] = texts.get(name, "") + _TEMPLATE_TAG.sub("", match[3])
    for match in _BOUND.finditer(source):
        # What else has the name may be what is printed.
        for name in re.findall(r"\w+", "".join(filter(None, match.groups()))):
            texts.pop(name, None)
    return texts


def positions(source: str) -> list[tuple[Tag, Position]]:
    """Return the prints of styles and scripts of data, and what each value must be.

    Kinds: see :mod:`tasks.rendering.html.css_values`; also ``json``.
    """
    if not _may_have_code(source):
        return []
    return [
        (tag, what)
        for tag, what in _judged(*pieces(source))
        if isinstance(what, Position) and tag.word != "include"
    ]


def includes_in_code(source: str) -> set[int]:
    """Return where the includes in styles and scripts of data are, in characters of the source.

    The values of their partials would be escaped as in text, which does not hold them there.
    """
    if not _may_have_code(source):
        return set()
    return {
        tag.start
        for tag, what in _judged(*pieces(source))
        if tag.word == "include" and (isinstance(what, Position) or what in _OF_CODE)
    }


def blocks_in_code(layout: str) -> set[str]:
    """Return the names of the blocks of a layout in which no value of another source is safe."""
    texts, template_tags = pieces(layout)
    # To see where something would be that fills it.
    filled = [
        replace(tag, word="include", inner=f"include {tag.inner}") if tag.word == "block" else tag
        for tag in template_tags
    ]
    return {
        match[1]
        for tag, _ in _judged(texts, filled)
        if (match := _BLOCK_NAME.match(tag.inner)) is not None
    }


def _may_have_code(source: str) -> bool:
    """Return whether a source may have a tag in a style or script: a quick check."""
    return _STYLED.search(source.lower()) is not None


def _judged(
    texts: Sequence[str], template_tags: Sequence[Tag]
) -> Iterator[tuple[Tag, str | Position]]:
    """Yield the prints and includes that are not merely escaped, with what to say of each."""
    if any(prints(tag) for tag in template_tags):
        page = markup(texts, template_tags)
        for index, what in sorted(_unsafe(page, 0, len(page.mask)), key=itemgetter(0)):
            yield page.tags[index], what


def _unsafe(
    page: Markup, start: int, end: int, *, outer: bool = True
) -> Iterator[tuple[int, str | Position]]:
    """Yield the index of each tag from ``start`` to before ``end`` that is not merely escaped.

    With it comes why it is unsafe, or what its value must be.
    """
    position = start
    script = data = False
    for token in tokens(page.mask, start, end):
        yield from _nameless(page, position, token.start)
        position = token.end
        if token.sort == "comment":
            # Comments do not nest: within one for Outlook, another would not end.
            inside = conditional(page.mask, token) if outer else None
            if inside is not None:
                yield from _unsafe(page, *inside, outer=False)
            elif page.mask.startswith("</", token.start):
                yield from _nameless(page, token.start, token.end)
        elif token.sort == "raw":
            if token.name == "style":
                yield from _in_sheet(page, token)
            elif token.name in _UNDECODED_ELEMENTS:
                what = _UNDECODED_ELEMENTS[token.name]
                yield from ((index, what) for index in printing(page, token.start, token.end))
            elif data:
                yield from _in_data(page, token)
            elif script:
                yield from ((index, _SCRIPT) for index in printing(page, token.start, token.end))
        else:
            yield from _in_tag(page, token)
            script = token.name == "script"
            data = script and holds_data(page.mask, token)
    yield from _nameless(page, position, end)


def _in_sheet(page: Markup, token: Token) -> Iterator[tuple[int, str | Position]]:
    inside = list(printing(page, token.start, token.end))
    if inside:
        css = page.mask[token.start : token.end]
        for index, what in zip(inside, style_positions(css, is_sheet=True), strict=False):
            if page.tags[index].inner != "super()":
                yield index, what._replace(raw=True) if isinstance(what, Position) else what


def _in_data(page: Markup, token: Token) -> Iterator[tuple[int, str | Position]]:
    strings = [match.span() for match in _JSON_STRING.finditer(page.mask, token.start, token.end)]
    for index in printing(page, token.start, token.end):
        place = page.places[index]
        at = bisect_left(strings, (place,)) - 1
        if at >= 0 and place < strings[at][1]:
            yield index, _QUOTED_DATA
        elif _TO_JSON.search(page.tags[index].inner):
            yield index, Position("json", raw=True)
        elif page.tags[index].inner != "super()":
            yield index, _DATA


def _nameless(page: Markup, start: int, end: int) -> Iterator[tuple[int, str]]:
    for match in _NAMELESS.finditer(page.mask, start, end):
        yield from ((index, _IN_NAME) for index in printing(page, match.start(), match.end()))


def _in_tag(page: Markup, token: Token) -> Iterator[tuple[int, str | Position]]:
    following = attributes(page.mask, token)
    attribute = None
    for index in printing(page, token.start, token.end):
        place = page.places[index]
        while place >= token.inside and (attribute is None or attribute.end <= place):
            attribute = next(following)
        message = _IN_NAME if attribute is None else _in_attribute(attribute, place)
        if message is not None:
            yield index, message
        elif (
            attribute is not None
            and attribute.name == "style"
            and _LITERAL.fullmatch(page.tags[index].inner) is None
        ):
            yield index, _in_style(page.mask, attribute, place)


def _in_style(mask: str, attribute: Attribute, place: int) -> str | Position:
    css = decoded(mask[attribute.value : attribute.value_end])
    return _styles(css)[mask.count(PRINT, attribute.value, place)]


@lru_cache(maxsize=16)
def _styles(css: str) -> list[str | Position]:
    """Return the positions of a style attribute, whose prints ask for them one by one."""
    return style_positions(css, is_sheet=False)


def _in_attribute(attribute: Attribute, place: int) -> str | None:
    if place < attribute.value:
        return _BARE if attribute.name == PRINT else _IN_NAME
    if not attribute.quoted:
        return _UNQUOTED
    if attribute.name.startswith("on"):
        return _EVENT_HANDLER
    return _SRCDOC if attribute.name == "srcdoc" else None


def holds_data(mask: str, token: Token) -> bool:
    """Return whether the content of a script element is data, by its type."""
    for attribute in attributes(mask, token):
        if attribute.name == "type":
            return _DATA_TYPE.fullmatch(mask, attribute.value, attribute.value_end) is not None
    return False
