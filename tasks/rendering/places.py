"""Positions in sources as line, column and snippet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tasks.errors import Problem
from tasks.rendering.tags import tags

_LONGEST_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Fault:
    """Fault at ``start``, in characters of a source, and its remedy."""

    start: int
    message: str


def shortened(text: str) -> str:
    """Return a part of a source as a message shows it."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def placed(path: str, kind: str, message: str, source: str, place: int | None) -> Problem:
    """Return a problem with line and column from 1, and the line with a caret under the place.

    ``place`` is an offset in characters, or None where it is not known.
    """
    problem: Problem = {"path": path, "type": kind, "message": message}
    if place is None:
        return problem
    start = source.rfind("\n", 0, place) + 1
    end = source.find("\n", place)
    column = place - start
    # A long line is cut around the place, which is what its author needs to see.
    left = start + max(0, column - 60)
    right = min(left + 120, end if end >= 0 else len(source))
    # A tab above is a tab below, however wide it is shown.
    indent = re.sub(r"[^\t]", " ", source[left:place])
    problem["line"] = source.count("\n", 0, place) + 1
    problem["column"] = column + 1
    problem["snippet"] = f"{source[left:right]}\n{indent}^"
    return problem


def place_of(name: str, source: str) -> int | None:
    """Return the offset of the first use of a placeholder such as ``user.name``, or None.

    None where it comes from a partial, or is written in another way.
    """
    steps = r"\s*\.\s*".join(map(re.escape, name.split(".")))
    placeholder = re.compile(rf"(?<![\w.]){steps}(?!\w)")
    matches = (placeholder.search(source, tag.start, tag.end) for tag in tags(source))
    return next((match.start() for match in matches if match is not None), None)


def source_place(spans: Sequence[tuple[int, int, int]], offset: int) -> int | None:
    """Return the offset in a source of an offset in what was compiled from it.

    ``spans`` are the engine's tags: where each begins and ends in the compiled text, and where it
    begins in the source. Between two of them the place is the end of the first.
    """
    place = None
    for start, end, source in spans:
        if start > offset:
            break
        place = source + min(offset - start, end - start - 1)
    return place
