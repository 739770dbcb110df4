"""The plain-text alternative of an HTML body: pure, no I/O.

It is derived from the template, once, and then rendered with the same values, so that a render
costs no reading of HTML. Line breaks and links are written as marks, controls that no page holds,
which :func:`finished` reads: only then is it known whether a label is empty and which breaks meet.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from tasks.rendering.html.markup import Markup, markup, pieces
from tasks.rendering.plain_text.certainty import may_select
from tasks.rendering.plain_text.finish import finished, without_rules
from tasks.rendering.plain_text.marks import without_marks
from tasks.rendering.plain_text.selectors import Selector
from tasks.rendering.plain_text.walker import Walker, written
from tasks.rendering.tags import COMMENT_START, Tag

__all__ = [
    "finished",
    "has_markup",
    "is_certain",
    "marked_text",
    "text_of",
    "text_source",
    "without_rules",
]

# With the comment start that the engine is given, and at the end, where a tag may follow.
_TAG_START = re.compile(rf"\{{(?=[{{%#{COMMENT_START[-1]}]|\Z)")

_HTML = re.compile(r"<[a-zA-Z!/]|&(?:#|[a-zA-Z][a-zA-Z0-9]*;)")
_CAPTURE = re.compile(r"set\s+[\w.]+\s*(?:\||\Z)")


def text_source(source: str) -> str:
    """Return the template of the text alternative of ``source``, a template of an HTML body.

    It takes the same values, is to be rendered without escaping, and its output is then for
    :func:`finished`. Prints and blocks stay; in parts without text (styles, comments) they are
    removed, unless they define something.
    """
    return _derived(without_marks(source)).text


def is_certain(sources: Sequence[str]) -> bool:
    """Return whether each render of a template and its partials shows and hides the same elements.

    If not, its text is derived from each finished page.
    """
    found = [_derived(source) for source in sources]
    return all(each.is_certain for each in found) and not _select_others(
        [(each.selects, source) for each, source in zip(found, sources, strict=True)]
    )


def _select_others(parts: Sequence[tuple[Sequence[Selector], str]]) -> bool:
    """Return whether selectors of one part may select elements of another."""
    return any(
        may_select(selects, text)
        for number, (selects, _) in enumerate(parts)
        if selects
        for other, (_, text) in enumerate(parts)
        if other != number
    )


class _Derived(NamedTuple):
    """The text alternative of a source, and the selectors that change what it shows."""

    text: str
    is_certain: bool
    selects: Sequence[Selector]


@lru_cache(maxsize=8)
def _derived(source: str) -> _Derived:
    texts, template_tags = pieces(source)
    definitions: dict[int, str] = {}
    walkers: list[tuple[Walker, str]] = []
    for start, end in reversed(_definitions(template_tags)):
        opening, closing = template_tags[start], template_tags[end]
        inside = markup(texts[start + 1 : end + 1], template_tags[start + 1 : end])
        walker = Walker(inside, _literal, {})
        definitions[opening.start] = f"{written(opening)}{walker.text()}{written(closing)}"
        walkers.append((walker, inside.mask))
        del template_tags[start + 1 : end + 1], texts[start + 1 : end + 1]
    whole = markup(texts, template_tags)
    walker = Walker(whole, _literal, definitions)
    text = walker.text()
    walkers.append((walker, whole.mask))
    certain = all(each.is_certain for each, _ in walkers) and not _select_others(
        [(each.sheet.selects, mask) for each, mask in walkers]
    )
    selects = [selector for each, _ in walkers for selector in each.sheet.selects]
    return _Derived(text, certain, selects)


def text_of(html: str) -> str:
    """Return the text alternative of a finished page: what its template would have given."""
    return finished(marked_text(html))


def marked_text(html: str) -> str:
    """Return the text alternative of finished HTML, which is for :func:`finished`."""
    return Walker(Markup(without_marks(html), (), ()), str, {}).text()


def has_markup(source: str) -> bool:
    """Return whether a source has HTML in it: a tag, a comment or a character reference."""
    return _HTML.search(source) is not None


def _definitions(template_tags: list[Tag]) -> list[tuple[int, int]]:
    """Return the first and last tags of the outermost macros and captures.

    What they hold is a piece of HTML of its own, whatever it is that they are in.
    """
    pairs = []
    open_: list[tuple[str, int]] = []
    for index, tag in enumerate(template_tags):
        if tag.word == "macro" or (tag.word == "set" and _CAPTURE.match(tag.inner)):
            open_.append((f"end{tag.word}", index))
        elif open_ and tag.word == open_[-1][0]:
            _, start = open_.pop()
            if not open_:
                pairs.append((start, index))
    return pairs


def _literal(text: str) -> str:
    return _TAG_START.sub('{{ "{" }}', text) if "{" in text else text
