"""Selectors of style sheets: elements, classes and ids, with ancestors and parents.

The part of Selectors Level 4 (https://www.w3.org/TR/selectors-4/) that mail clients have in common.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_COMPOUND: Final = re.compile(r"(\*|[a-zA-Z][a-zA-Z0-9]*)?((?:[.#][\w-]+)*)")
_NAME: Final = re.compile(r"[.#][\w-]+")
_CHILD: Final = ">"


class Element(NamedTuple):
    """An element of a page; ``names`` are its classes and id, such as ``.note`` and ``#top``."""

    tag: str
    names: frozenset[str] = frozenset()


class _Compound(NamedTuple):
    tag: str
    names: frozenset[str]
    is_child: bool
    """Whether what stands before it in the selector is its parent, and not any ancestor."""

    def matches(self, element: Element) -> bool:
        return self.tag in {"", element.tag} and self.names <= element.names


class Selector(NamedTuple):
    """Compound selectors, the outermost first.

    ``specificity`` counts ids, classes and elements (Selectors Level 4, section 17).
    """

    compounds: tuple[_Compound, ...]
    specificity: tuple[int, int, int]

    def matches(self, path: Sequence[Element]) -> bool:
        """Tell whether it selects the last element of a path from the root."""
        *others, last = self.compounds
        return last.matches(path[-1]) and _leads(others, path[:-1], is_child=last.is_child)


def selector(text: str) -> Selector | None:
    """Return a selector, or None if it has anything else, such as a pseudo-class."""
    compounds: list[_Compound] = []
    is_child = False
    for word in text.replace(_CHILD, f" {_CHILD} ").split():
        if word == _CHILD:
            if is_child or not compounds:
                return None
            is_child = True
            continue
        match = _COMPOUND.fullmatch(word)
        if match is None:
            return None
        tag = (match[1] or "").lower().replace("*", "")
        compounds.append(_Compound(tag, frozenset(_NAME.findall(match[2])), is_child))
        is_child = False
    if not compounds or is_child:
        return None
    names = [name for compound in compounds for name in compound.names]
    ids = sum(name.startswith("#") for name in names)
    tags = sum(bool(compound.tag) for compound in compounds)
    return Selector(tuple(compounds), (ids, len(names) - ids, tags))


def _leads(compounds: Sequence[_Compound], path: Sequence[Element], *, is_child: bool) -> bool:
    if not compounds:
        return True
    *others, last = compounds
    lengths = [len(path)] if is_child else range(len(path), 0, -1)
    return any(
        length > 0
        and last.matches(path[length - 1])
        and _leads(others, path[: length - 1], is_child=last.is_child)
        for length in lengths
    )
