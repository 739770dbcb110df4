"""Sample values for trial renders, where a variable has no example."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

TEXT: Final = "text"
BY_TYPE: Final[Mapping[str, Any]] = {
    "string": TEXT,
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "date": "2026-01-31",
    "datetime": "2026-01-31T12:00:00+00:00",
    "url": "https://example.org/",
    "email": "user@example.org",
}
BY_FILTER: Final[Mapping[str, Any]] = {
    "currency": 1,
    "number": 1,
    "percent": 1,
    "plural": 1,
    "date": "2026-01-31T12:00:00+00:00",
    "time": "2026-01-31T12:00:00+00:00",
    "datetime": "2026-01-31T12:00:00+00:00",
    "list": [TEXT],
    "filesizeformat": 1,
}
"""A value that each locale filter takes."""


class Anything:
    """Stands for a value whose shape nobody declared: it has every member and can be looped over.

    Only trial renders use it; real values are plain JSON. What it holds holds something too, and so
    on, but comes to an end, as it does in a tree.
    """

    __slots__ = ("_levels",)

    def __init__(self, levels: int = 8) -> None:
        self._levels = levels

    def __getattr__(self, name: str) -> Self:
        """Return itself for every member."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> "Anything":
        """Return one with a level less for every index."""
        if not self._levels:
            raise KeyError(key)
        return Anything(self._levels - 1)

    def __iter__(self) -> "Iterator[Anything]":
        """Yield one more, with a level less below it."""
        return iter([Anything(self._levels - 1)] if self._levels else [])

    def __len__(self) -> int:
        """Be one long, or empty at the end."""
        return min(1, self._levels)

    def __str__(self) -> str:
        """Be printed as a word."""
        return TEXT


def is_invented(value: object) -> bool:
    """Tell whether a value of a trial render is invented."""
    if isinstance(value, list):
        return any(is_invented(item) for item in value)
    return isinstance(value, Anything) or value == TEXT
