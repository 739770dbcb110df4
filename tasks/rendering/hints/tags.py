"""Suggested fixes for malformed tags: pure, no I/O.

Editors of HTML write references and tags of their own into placeholders; authors leave braces out,
or put a tag into another.
"""

import re
from typing import Final

from tasks.rendering.tags import Tag, blanked, tag_at, tags

_REFERENCE = re.compile(
    r"&(?:quot|apos|lt|gt|amp|nbsp|#3[49]|#x2[27]|#160|lsquo|rsquo|ldquo|rdquo);"
)
_CHARACTERS: Final = {
    "&amp;": "&",
    "&gt;": ">",
    "&lt;": "<",
    "&nbsp;": "a space",
}
_HTML = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?>")
_LONGEST: Final = 1000
OPENING = re.compile(r"\{[{%]")
_CLOSING: Final = {"{{": "}}", "{%": "%}"}
_ICU = re.compile(r"\{\s*[A-Za-z_]\w*\s*,\s*(?:plural|select|selectordinal)\s*,")
ICU: Final = (
    "this is ICU MessageFormat: write {{ n | plural(one='# day', other='# days') }}, or {% if %} "
    "for select"
)


def of_tag(source: str, place: int) -> str | None:
    """Return what to write instead of the tag at ``place``, where all of it is wrong."""
    tag = tag_at(source, place)
    opening = OPENING.search(source, _end_of_tags(source, place)) if tag is None else None
    start = tag.start if tag is not None else opening.start() if opening is not None else place
    if tag is None and start >= place:
        return None
    # Where a tag has no end it may be the rest of a long source.
    end = min(start + _LONGEST, len(source) if tag is None else tag.end)
    inside = blanked(source[start + 2 : end])
    return (
        _reference(inside)
        or _of_wrong_end(source, start, place)
        or _of_inner_tag(source, tag, start, place, inside)
        or _of_page(source, start, place)
    )


def is_icu(source: str, start: int) -> bool:
    """Return whether a ``{#`` is in a message of ICU, as in ``one {# day}``."""
    line = source.rfind("\n", 0, start) + 1
    return _ICU.search(source, max(line, start - 200), start) is not None


def _end_of_tags(source: str, place: int) -> int:
    return max((tag.end for tag in tags(source) if tag.end <= place), default=0)


def _reference(inside: str) -> str | None:
    inside = inside.partition("}}")[0]
    match = _REFERENCE.search(inside)
    if match is None:
        return None
    if "&amp;&amp;" in inside:
        return "an editor has written && as &amp;&amp;: write 'and'"
    meant = _CHARACTERS.get(match[0], "the quote itself")
    return f"an editor has written {match[0]} into the tag: write {meant}"


def _of_inner_tag(source: str, tag: Tag | None, start: int, place: int, inside: str) -> str | None:
    inner = OPENING.search(inside)
    if inner is None or (source.startswith("}", place) and start + 2 + inner.start() > place):
        return None
    before = inside[: inner.start()]
    closing = _CLOSING[source[start : start + 2]]
    is_nested = start + 2 + inner.start() < place and "<" not in before and "\n" not in before
    if is_nested and tag is not None:
        is_whole = "}}" in tag.inner or "%}" in tag.inner
        if is_whole or re.match(r"\s*[%}]\}", source[tag.end :]):
            return "a tag cannot be in another: write names alone, as in {% if name == 'a' %}"
    until = inside.find(closing)
    return not_closed(source, start) if not 0 <= until < inner.start() else None


def _of_page(source: str, start: int, place: int) -> str | None:
    """Return what to do about a tag of HTML in a tag, in which the page goes on or not."""
    closing = _CLOSING[source[start : start + 2]]
    match = _HTML.search(source, max(start, place - 1), place + _LONGEST)
    if match is None or match.start() > place:
        return None
    until = OPENING.search(source, place)
    rest = source[match.end() : until.start() if until is not None else len(source)]
    if closing in rest.partition("\n")[0]:
        return f"remove {match[0]} from the tag: a page's tags are outside of it"
    return not_closed(source, start)


def _of_wrong_end(source: str, start: int, place: int) -> str | None:
    own = source[start + 2 : place]
    if not source.startswith("}", place) or "{" in own:
        return None
    if source.startswith("{%", start):
        return None if own.endswith("%") else "a block ends with %}"
    return "a placeholder ends with }}" if own.endswith("%") else None


def not_closed(source: str, start: int) -> str:
    """Return the sentence about a tag at ``start`` that is not closed."""
    opening = source[start : start + 2]
    line = source.count("\n", 0, start) + 1
    if source.startswith("{{%", start):
        return f"'{{{{%' in line {line}: put a space between {{ and {{%"
    return f"'{opening}' in line {line} is not closed: write {_CLOSING[opening]} at its end"
