"""Ends of hidden elements, also without an end tag (HTML standard, 13.1.2.4)."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from tasks.rendering.plain_text.elements import IN_HEAD

_BLOCK_NAMES: Final = (
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr main menu nav ol p pre search section summary "
    "table ul"
)
_BLOCKS: Final = frozenset(_BLOCK_NAMES.split())
_ITEMS: Final = frozenset({"li", "dd", "dt"})
_CELLS: Final = frozenset({"td", "th"})
_ROWS: Final = frozenset({"tr", "tbody", "thead", "tfoot"})
_NEXT: Final[Mapping[str, frozenset[str]]] = {
    "p": _BLOCKS | _ITEMS,
    "li": frozenset({"li"}),
    **dict.fromkeys(("dd", "dt"), frozenset({"dd", "dt"})),
    **dict.fromkeys(_CELLS, _CELLS | _ROWS),
    "tr": _ROWS,
    **dict.fromkeys(("tbody", "thead", "tfoot"), frozenset({"tbody", "tfoot"})),
}
"""Elements that end one before them which has no end tag."""
_AROUND: Final[Mapping[str, frozenset[str]]] = {
    "p": _BLOCKS - {"p"} | _ITEMS | _CELLS | _ROWS | {"body"},
    "li": frozenset({"ul", "ol", "menu", "dir"}),
    **dict.fromkeys(("dd", "dt"), frozenset({"dl"})),
    **dict.fromkeys((*_CELLS, *_ROWS), frozenset({"table"})),
}
"""Elements that it is in: it ends where they end, and they may be in it as well."""


class Hidden(NamedTuple):
    """The element that hides all of its contents.

    ``depth`` counts the open elements of its name, including itself; ``inner`` counts open elements
    within it that could contain it.
    """

    name: str
    depth: int = 1
    inner: int = 0

    def after_start(self, name: str) -> Self | None:
        """Return the state after a start tag within the element; None if the tag ended it."""
        if self.name == "head":
            return self if name in IN_HEAD else None
        if not self.inner and name in _NEXT.get(self.name, ()):
            return None
        if name in _AROUND.get(self.name, ()):
            return self._replace(inner=self.inner + 1)
        return self._replace(depth=self.depth + 1) if name == self.name else self

    def after_end(self, name: str) -> Self | None:
        """Return the state after an end tag; None if the tag ended the element."""
        if name in _AROUND.get(self.name, ()):
            return self._replace(inner=self.inner - 1) if self.inner else None
        if name == self.name:
            return self._replace(depth=self.depth - 1) if self.depth > 1 else None
        return self

    def merged(self, other: Self) -> Self | None:
        """Return the state after alternatives; text is rather shown than lost."""
        if self.name != other.name:
            return None
        depth, inner = min(self.depth, other.depth), min(self.inner, other.inner)
        return self._replace(depth=depth, inner=inner)
