"""Variables that sources use, as a declaration would name them: pure, no I/O."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.rendering.paths import ITEM, Path, steps_of, written
from tasks.rendering.usage.scopes import Use


class Inferred(NamedTuple):
    """Names of undeclared variables, inferred from texts.

    ``optional`` are the names that may be left out; ``items`` the names of members of items, such
    as ``items[].sku``, which are not placeholders of their own.
    """

    optional: list[str]
    items: list[str]


def names_of(uses: Iterable[Use]) -> set[str]:
    """Return the names of the values that sources use: ``user.name``, and ``items`` of a loop."""
    return {written(_to_the_array(use.path)) for use in uses}


def item_names(uses: Sequence[Use]) -> set[str]:
    """Return the names of the members of items: ``items[].sku``, where no item is used whole."""
    paths = {use.path for use in uses}
    return {
        written(path)
        for path in paths
        if ITEM in path
        and path[-1] != ITEM
        and not any(path[:count] in paths and path[count] != ITEM for count in range(1, len(path)))
    } | {
        written(path[:count])
        for path in paths
        for count in range(1, len(path))
        if path[count] == ITEM and ITEM in path[:count] and path[count - 1] != ITEM
    }


def optional_names(names: Iterable[str], uses: Sequence[Use]) -> set[str]:
    """Return the ``names`` without which every use still renders."""
    return {name for name in names if _optional_for(steps_of(name), uses)}


def _to_the_array(path: Path) -> Path:
    return path[: path.index(ITEM)] if ITEM in path else path


def _optional_for(path: Path, uses: Iterable[Use]) -> bool:
    """Return whether no use misses the value at ``path``, or one below it, if it is left out."""
    length = len(path)
    return all(
        use.guarded or any(there[:length] == path for there in use.present)
        for use in uses
        if use.path[:length] == path
    )
