"""HTML over a template's source: where its tags, attributes, comments and raw text are.

The tags of the template engine are units that the HTML is read around: each is one character of the
mask of a :class:`Markup`. The tokenizer follows the HTML standard (section 13.2.5) and takes time
in proportion to the source, whatever the source.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from html.entities import html5
from typing import Final, Literal, NamedTuple

from tasks.rendering.tags import Kind, Tag, tags

PRINT: Final = "\x1a"
"""A print or an include in a mask: to the tokenizer a character without a meaning of its own."""

BLOCK: Final = "\x1b"
"""Another block in a mask: to the tokenizer a space, since alternatives may be on both sides."""

_SPACE = r"\t\n\f\r \x1b"
_NAME = rf"[^{_SPACE}/>][^{_SPACE}/>=]*+"
_EQUALS = rf"[{_SPACE}]*+=[{_SPACE}]*+"
_BARE = rf"""[^{_SPACE}>"'][^{_SPACE}>]*+"""
# What does not end runs to the end of the source, as in the standard: nothing is read twice. No
# group is possessive, which Python 3.11.2 gets wrong.
_MARKUP = re.compile(
    rf"""
    <(?: !--(?: -?> | (?s:.*?) (?: --!?> | \Z ) )
       | [!?] [^>]*+ (?: > | \Z )
       | / (?!\x1b*+[a-zA-Z]) [^>]*+ (?: > | \Z )
       | (/?) \x1b*+ ([a-zA-Z][^{_SPACE}/>]*+)
         ((?: [{_SPACE}/]++
            | {_NAME} (?: {_EQUALS} (?: "[^"]*+(?:"|\Z) | '[^']*+(?:'|\Z) | {_BARE} )? )?
         )*)
         (?: > | \Z )
    )
    """,
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(
    rf"""({_NAME})(?:{_EQUALS}(?:"([^"]*+)(?:"|\Z)|'([^']*+)(?:'|\Z)|({_BARE})|))?"""
)
# Section 13.2.6.4: the elements whose content holds no tags. Not noscript: mail runs no scripts.
_RAW = {
    name: re.compile(rf"</{name}(?=[{_SPACE}/>])", re.IGNORECASE)
    for name in ("iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp")
} | {"plaintext": re.compile(r"(?!)")}
_CONDITION = re.compile(r"<!--\[if[^\]>]*+\]>", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#[xX]?[0-9a-fA-F]++;?|([a-zA-Z][a-zA-Z0-9]*+)(;|(?!=)))")


@dataclass(frozen=True, slots=True)
class Markup:
    """A source with one character for each tag of the template engine.

    ``places`` says where in ``mask`` the ``tags`` are, in order. Comments, marks of raw blocks and
    what whitespace control takes away are left out.
    """

    mask: str
    places: Sequence[int]
    tags: Sequence[Tag]


class Token(NamedTuple):
    """A piece of HTML, from ``start`` to before ``end``, in characters of the mask.

    Text is what is between tokens; ``raw`` is the content of an element without tags. ``name``
    is the lower-case name of the element (empty for comments), whose attributes are from
    ``inside`` to before ``inside_end``.
    """

    sort: Literal["start", "end", "comment", "raw"]
    start: int
    end: int
    name: str
    inside: int
    inside_end: int


class Attribute(NamedTuple):
    """An attribute: its lower-case name, and the position of its value without quotes."""

    name: str
    start: int
    end: int
    value: int
    value_end: int
    quoted: bool


def pieces(source: str) -> tuple[list[str], list[Tag]]:
    """Return the texts between the prints and blocks of ``source``, and these; one text more."""
    texts = []
    template_tags = []
    text = ""
    last = 0
    trims = False
    for tag in tags(source):
        between = source[last : tag.start]
        if trims:
            between = between.lstrip()
        if source[tag.start + 2] == "-":
            between = between.rstrip()
        text += between
        last = tag.end
        trims = source[tag.end - 3] == "-"
        if tag.kind is Kind.COMMENT or tag.word in {"raw", "endraw"}:
            continue
        texts.append(text)
        template_tags.append(tag)
        text = ""
    rest = source[last:]
    texts.append(text + (rest.lstrip() if trims else rest))
    return texts, template_tags


def prints(tag: Tag) -> bool:
    """Return whether a tag produces output, as a print or an include does."""
    return tag.kind is Kind.PRINT or tag.word == "include"


def markup(texts: Sequence[str], template_tags: Sequence[Tag]) -> Markup:
    """Return the result of :func:`pieces`, or a part of it, as one mask."""
    parts = [texts[0]]
    places = []
    length = len(texts[0])
    for tag, text in zip(template_tags, texts[1:], strict=True):
        places.append(length)
        parts += (PRINT if prints(tag) else BLOCK, text)
        length += 1 + len(text)
    return Markup("".join(parts), places, template_tags)


def tokens(mask: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """Yield the tags, comments and raw texts of ``mask`` in order."""
    stop = len(mask) if end is None else end
    position: int | None = start
    while position is not None:
        scan = _MARKUP.finditer(mask, position, stop)
        position = None
        for match in scan:
            slash, name, _ = match.groups()
            begin, after = match.span()
            if name is None:
                yield Token("comment", begin, after, "", after, after)
                continue
            name = name.lower()
            inside, inside_end = match.span(3)
            yield Token("end" if slash else "start", begin, after, name, inside, inside_end)
            if name in _RAW and not slash:
                closing = _RAW[name].search(mask, after, stop)
                position = stop if closing is None else closing.start()
                yield Token("raw", after, position, name, after, position)
                break


def attributes(mask: str, token: Token) -> Iterator[Attribute]:
    """Yield the attributes of a tag in order."""
    for match in _ATTRIBUTE.finditer(mask, token.inside, token.inside_end):
        group = match.lastindex or 1
        value, value_end = match.span(group) if group > 1 else (match.end(), match.end())
        yield Attribute(match[1].lower(), *match.span(), value, value_end, group in {2, 3})


def conditional(mask: str, token: Token) -> tuple[int, int] | None:
    """Return start and end of the HTML for Outlook in a comment, or None."""
    match = _CONDITION.match(mask, token.start, token.end)
    return (match.end(), token.end) if match else None


def decoded(value: str) -> str:
    """Return the value of an attribute with its character references read.

    In attributes, unlike in text, ``&copy=`` is not a reference (section 13.2.5.73).
    """
    return _REFERENCE.sub(_character, value) if "&" in value else value


def _character(match: re.Match[str]) -> str:
    name, semicolon = match.groups()
    return unescape(match[0]) if name is None or name + semicolon in html5 else match[0]


def printing(page: Markup, start: int, end: int) -> Iterator[int]:
    """Yield the indexes of the prints and includes from ``start`` to before ``end``."""
    for index in range(bisect_left(page.places, start), bisect_left(page.places, end)):
        if prints(page.tags[index]):
            yield index
