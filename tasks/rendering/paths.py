"""Paths of values, such as ``user.name``, ``items[].sku`` and ``user["first-name"]``.

A path is a tuple of steps: names of members, and :data:`ITEM` for every item of an array.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

ITEM: Final = "[]"
"""The step to the items of an array; no member has that name, which a declaration cannot say."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INSIDE: Final = r"""[^"'\\\x00-\x1f\x7f\[\]]+"""
_QUOTED: Final = rf"""\["{_INSIDE}"\]|\['{_INSIDE}'\]"""
_QUOTABLE: Final = re.compile(_INSIDE)
_STEP: Final = re.compile(rf"\.([A-Za-z_][A-Za-z0-9_]*)|(\[\])|({_QUOTED})")

Path = tuple[str, ...]
Place = tuple[str | int, ...]
"""A path with the index of each item instead of :data:`ITEM`."""


def can_be_quoted(name: str) -> bool:
    """Return whether a member of that name can be declared, in brackets and quotes if need be."""
    return _QUOTABLE.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def parsed(text: str) -> Path | None:
    """Return the path in a text, or None if the text is not a path."""
    first = _IDENTIFIER.match(text)
    if first is None:
        return None
    steps = [first[0]]
    position = first.end()
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            return None
        steps.append(step[1] or step[2] or step[3][2:-2])
        position = step.end()
    return tuple(steps)


@lru_cache(maxsize=4096)
def steps_of(text: str) -> Path:
    """Return the path of a name that is declared or a placeholder.

    Some paths of a source cannot be declared: they are cut at the dots.
    """
    return parsed(text) or tuple(text.split("."))


def written(path: Path) -> str:
    """Return a path as it is written: names after dots, others in brackets and quotes."""
    text = path[0]
    for step in path[1:]:
        if step == ITEM:
            text += ITEM
        elif step.isascii() and step.isidentifier():
            text += f".{step}"
        else:
            text += f'["{step}"]'
    return text


def above(name: str) -> list[str]:
    """Return the paths above a path, the nearest first: ``a.b.c`` gives ``a.b`` and ``a``."""
    return [written(path) for path in _above(steps_of(name))]


def holders(name: str) -> list[str]:
    """Return the paths above a path that name a value, the nearest first.

    Paths of items are left out: ``a[].b`` gives ``a``.
    """
    return [written(path) for path in _above(steps_of(name)) if path[-1] != ITEM]


def _above(path: Path) -> Iterator[Path]:
    return (path[:count] for count in range(len(path) - 1, 0, -1))


def written_place(place: Place) -> str:
    """Return a place as the path of a problem: ``items[1].sku``."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif not text:
            text = step
        elif step.isascii() and step.isidentifier():
            text += f".{step}"
        else:
            text += f'["{step}"]'
    return text
