"""Selectors of style sheets: elements, classes, ids and attributes, with ancestors and siblings.

The part of Selectors Level 4 (https://www.w3.org/TR/selectors-4/) that mail clients have in common.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

_ATTRIBUTE_TEXT: Final = (
    r"""\[\s*[\w:-]+\s*(?:[~|^$*]?=\s*(?:"[^"]*"|'[^']*'|[\w-]+)\s*[is]?\s*)?\]"""
)
_COMPOUND: Final = re.compile(
    rf"(\*|[a-zA-Z][a-zA-Z0-9]*)?((?:[.#][\w-]+|{_ATTRIBUTE_TEXT})*)", re.IGNORECASE
)
_NAME: Final = re.compile(r"[.#][\w-]+")
_ATTRIBUTE: Final = re.compile(
    r"""\[\s*([\w:-]+)\s*(?:([~|^$*]?)=\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*([is]?)\s*)?\]""",
    re.IGNORECASE,
)
_PIECE: Final = re.compile(rf"(?:{_ATTRIBUTE_TEXT}|[^\s>+~\[])+|[>+~]|\S", re.IGNORECASE)
_COMBINATORS: Final = ">+~"
_MOST_SIBLINGS: Final = 100
"""Siblings that a selector is compared with, so that long pages take no longer than their size."""


NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a page; ``names`` are its classes and id, such as ``.note`` and ``#top``.

    ``before`` is the sibling before it.
    """

    tag: str
    names: frozenset[str]
    attributes: Mapping[str, str]
    before: "Element | None" = field(default=None, compare=False, repr=False)

    def siblings(self) -> Iterator["Element"]:
        """Yield the siblings before it, the nearest first."""
        sibling = self.before
        for _ in range(_MOST_SIBLINGS):
            if sibling is None:
                return
            yield sibling
            sibling = sibling.before


class _Condition(NamedTuple):
    """Required value of an attribute; without a value, the attribute must be present."""

    name: str
    operator: str
    value: str | None
    ignores_case: bool

    def holds(self, attributes: Mapping[str, str]) -> bool:
        given = attributes.get(self.name)
        if given is None or self.value is None:
            return given is not None
        wanted = self.value
        if self.ignores_case:
            given, wanted = given.lower(), wanted.lower()
        match self.operator:
            case "":
                return given == wanted
            case "~":
                return wanted in given.split()
            case "|":
                return given == wanted or given.startswith(f"{wanted}-")
        found = {"^": given.startswith, "$": given.endswith, "*": given.__contains__}
        return bool(wanted) and found[self.operator](wanted)


class _Compound(NamedTuple):
    tag: str
    names: frozenset[str]
    conditions: tuple[_Condition, ...]
    combinator: str
    """What leads to it from what is before it in the selector: a space is any ancestor."""

    def matches(self, element: Element) -> bool:
        return (
            self.tag in {"", element.tag}
            and self.names <= element.names
            and all(condition.holds(element.attributes) for condition in self.conditions)
        )


class Selector(NamedTuple):
    """Compound selectors, the outermost first.

    ``specificity`` counts ids, classes and elements (Selectors Level 4, section 17).
    """

    compounds: tuple[_Compound, ...]
    specificity: tuple[int, int, int]

    def matches(self, path: Sequence[Element]) -> bool:
        """Return whether it selects the last element of a path from the root."""
        *others, last = self.compounds
        return last.matches(path[-1]) and _leads(others, path, last.combinator)

    def has_siblings(self) -> bool:
        """Return whether it asks for siblings."""
        return any(compound.combinator in "+~" for compound in self.compounds)


def selector(text: str) -> Selector | None:
    """Return a selector, or None if it has anything else, such as a pseudo-class."""
    compounds: list[_Compound] = []
    combinator = ""
    for word in _PIECE.findall(text):
        if word in _COMBINATORS:
            if combinator or not compounds:
                return None
            combinator = word
            continue
        match = _COMPOUND.fullmatch(word)
        if match is None:
            return None
        compounds.append(
            _Compound(
                (match[1] or "").lower().replace("*", ""),
                frozenset(_NAME.findall(_ATTRIBUTE.sub("", match[2]))),
                tuple(map(_condition, _ATTRIBUTE.finditer(match[2]))),
                combinator or " ",
            )
        )
        combinator = ""
    if not compounds or combinator:
        return None
    names = [name for compound in compounds for name in compound.names]
    ids = sum(name.startswith("#") for name in names)
    conditions = sum(len(compound.conditions) for compound in compounds)
    tags = sum(bool(compound.tag) for compound in compounds)
    return Selector(tuple(compounds), (ids, len(names) - ids + conditions, tags))


def _condition(match: re.Match[str]) -> _Condition:
    value = next((match[group] for group in (3, 4, 5) if match[group] is not None), None)
    return _Condition(match[1].lower(), match[2] or "", value, (match[6] or "").lower() == "i")


def _leads(compounds: Sequence[_Compound], path: Sequence[Element], combinator: str) -> bool:
    """Return whether compounds lead to the last element of a path by a combinator."""
    if not compounds:
        return True
    *others, last = compounds
    for place in _places(path, combinator):
        if last.matches(place[-1]) and _leads(others, place, last.combinator):
            return True
    return False


def _places(path: Sequence[Element], combinator: str) -> Iterator[Sequence[Element]]:
    """Yield the paths of the elements that a combinator may mean, the nearest first."""
    around, last = path[:-1], path[-1]
    if combinator in "+~":
        for sibling in last.siblings():
            yield (*around, sibling)
            if combinator == "+":
                return
    else:
        for length in range(len(around), 0, -1):
            yield around[:length]
            if combinator == ">":
                return
