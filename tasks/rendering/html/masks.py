"""Masks of a source: of its length, with marks instead of tags. Pure, no I/O."""

from collections.abc import Iterator
from typing import Final

from tasks.rendering.html.markup import BLOCK, PRINT, conditional, prints, tokens
from tasks.rendering.tags import tags

_CODE: Final = frozenset({"script", "style"})


def flat(source: str) -> str:
    """Return a source as long as it is, with a mark for each character of a tag or raw block.

    Prints have the mark of prints, everything else the mark of blocks.
    """
    parts: list[str] = []
    last = 0
    raw = False
    for tag in tags(source):
        between = source[last : tag.start]
        mark = PRINT if prints(tag) else BLOCK
        parts += (BLOCK * len(between) if raw else between, mark * (tag.end - tag.start))
        last, raw = tag.end, tag.word == "raw"
    return "".join([*parts, source[last:]])


def text_mask(source: str) -> str:
    """Return what :func:`flat` does, style sheets and scripts left out too."""
    return without_code(flat(source))


def without_code(mask: str) -> str:
    """Return a mask of the same length, contents of style sheets and scripts left out."""
    parts: list[str] = []
    last = 0
    for start, end in _code(mask, 0, len(mask), outer=True):
        parts += (mask[last:start], BLOCK * (end - start))
        last = end
    return "".join([*parts, mask[last:]])


def _code(mask: str, start: int, end: int, *, outer: bool) -> Iterator[tuple[int, int]]:
    for token in tokens(mask, start, end):
        if token.sort == "raw" and token.name in _CODE:
            yield token.start, token.end
        elif token.sort == "comment" and outer:
            inside = conditional(mask, token)
            if inside is not None:
                yield from _code(mask, *inside, outer=False)
