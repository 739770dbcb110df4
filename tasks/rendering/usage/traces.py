"""Uses of values by a source: found by :mod:`tasks.rendering.usage.uses`, judged by a trial."""

from typing import NamedTuple

from tasks.rendering.paths import Path
from tasks.rendering.usage.kinds import Kind

Side = tuple[Path | None, Kind | None]
"""A side of an operator: its path if it is a variable, its kind if its syntax says it."""


class Traces(NamedTuple):
    """Uses of values by a source without its partials, each with its place.

    ``comparisons`` are the two sides of each, ``calculations`` the operator and its two sides,
    ``prints`` the paths that are printed as they are, ``changes`` the values that a filter, a
    slice, a method or a loop changes.
    """

    comparisons: list[tuple[int, tuple[Side, ...]]]
    calculations: list[tuple[int, str, tuple[Side, ...]]]
    prints: list[tuple[int, Path]]
    changes: list[tuple[int, Path]]
