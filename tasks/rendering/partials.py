"""Partials that a source uses, and their placeholders: pure, no I/O."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tasks.rendering.tags import Kind, Tag, tags

_USE: Final = re.compile(r"""(?:include|extends)\s+(?:"([^"\\]*)"|'([^'\\]*)')""")
_TAG: Final = re.compile(r"\{%[-+]?\s*(?:extends|from|import|include)\b")
BLOCK: Final = re.compile(r"block\s+(\w+)")
_USING: Final = frozenset({"extends", "include"})
_REFUSED: Final = frozenset({"from", "import"})


@dataclass(frozen=True, slots=True)
class Use:
    """A tag that uses a partial.

    ``partial`` is its template_id, or None where the tag is not one that this service takes, which
    ``problem`` explains. ``start`` and ``end`` are the tag's place in the source, in characters.
    """

    partial: str | None
    start: int
    end: int
    is_layout: bool
    problem: str = ""


def uses(source: str) -> list[Use]:
    """Return the tags of ``source`` that use partials, in order."""
    result: list[Use] = []
    # Most sources have none, and this takes a hundredth of the lexer's time.
    if _TAG.search(source) is None:
        return result
    for tag in tags(source):
        if tag.kind is Kind.BLOCK and tag.word in _USING:
            result.append(_use(tag))
        elif tag.kind is Kind.BLOCK and tag.word in _REFUSED:
            message = f"{tag.word} is not available: include or extend a partial"
            result.append(Use(None, tag.start, tag.end, is_layout=False, problem=message))
    return result


def partials_of(sources: Iterable[str | None]) -> set[str]:
    """Return the template_ids of all partials that sources use; None stands for no source."""
    return {
        use.partial
        for source in sources
        if source is not None
        for use in uses(source)
        if use.partial is not None
    }


def with_needs(source: str, needs: Mapping[str, Iterable[str]]) -> str:
    """Return ``source`` with the tags of partials replaced by prints of their variables.

    The engine then shows which of these names are the source's own placeholders and which are
    variables of a loop or a set around the tag. A layout does its work when all else is done, so
    that its prints are at the end. ``needs`` holds the placeholders of each partial.
    """
    parts: list[str] = []
    at_the_end: list[str] = []
    last = 0
    for use in uses(source):
        names = needs.get(use.partial or "", ())
        prints = "".join(f"{{{{ {name} }}}}" for name in names)
        parts.append(source[last : use.start])
        (at_the_end if use.is_layout else parts).append(prints)
        last = use.end
    return "".join([*parts, source[last:], *at_the_end])


def blocks_of(source: str) -> dict[str, int]:
    """Return the names of the outermost blocks of ``source``, and where their tags begin."""
    blocks: dict[str, int] = {}
    depth = 0
    for tag in tags(source):
        if tag.word == "block" and (match := BLOCK.match(tag.inner)) is not None:
            if depth == 0:
                blocks.setdefault(match[1], tag.start)
            depth += 1
        elif tag.word == "endblock":
            depth -= 1
    return blocks


def every_block(source: str) -> set[str]:
    """Return the names of all blocks of ``source``, nested ones too."""
    return {
        match[1]
        for tag in tags(source)
        if tag.word == "block" and (match := BLOCK.match(tag.inner)) is not None
    }


def cycle_through(name: str, uses_of: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Return a chain of partials that begins and ends with ``name``, or None.

    ``uses_of`` has for each partial the partials that it uses.
    """
    chains = [[name]]
    seen = set()
    while chains:
        chain = chains.pop()
        for used in sorted(uses_of.get(chain[-1], ())):
            if used == name:
                return [*chain, name]
            if used not in seen:
                seen.add(used)
                chains.append([*chain, used])
    return None


def depth(names: Iterable[str], uses_of: Mapping[str, Iterable[str]]) -> int:
    """Return how many partials the longest chain has that begins with one of ``names``.

    There must be no cycle; see :func:`cycle_through`.
    """
    known: dict[str, int] = {}

    def below(name: str) -> int:
        if name not in known:
            known[name] = 1 + max(map(below, uses_of.get(name, ())), default=0)
        return known[name]

    return max(map(below, names), default=0)


def _use(tag: Tag) -> Use:
    is_layout = tag.word == "extends"
    match = _USE.fullmatch(tag.inner)
    if match is None:
        message = f'expected one template_id in quotes, such as {{% {tag.word} "footer" %}}'
        return Use(None, tag.start, tag.end, is_layout, message)
    return Use(match[1] or match[2] or "", tag.start, tag.end, is_layout)
