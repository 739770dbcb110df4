"""Sample values for trial renders, where a variable has no example."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

from tasks.rendering.variables import Declared, nested

TEXT: Final = "text"
BY_TYPE: Final[Mapping[str, Any]] = {
    "string": TEXT,
    "integer": 1,
    "number": 1.5,
    "decimal": "12.50",
    "boolean": True,
    "date": "2026-01-31",
    "datetime": "2026-01-31T12:00:00+00:00",
    "url": "https://example.org/",
    "email": "user@example.org",
    "markdown": TEXT,
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
    """Stands for a value of undeclared shape: it has every member and can be looped over.

    Only trial renders use it; real values are plain JSON. Its members have members too, and so
    on, but ends, as in a tree.
    """

    __slots__ = ("_length", "_levels")

    def __init__(self, levels: int = 8, length: int = 1) -> None:
        self._levels = levels
        self._length = length

    def __getattr__(self, name: str) -> Self:
        """Return itself for every member."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> "Anything":
        """Return a stand-in with one level less, for every index."""
        if not self._levels:
            raise KeyError(key)
        return Anything(self._levels - 1, self._length)

    def __iter__(self) -> "Iterator[Anything]":
        """Yield one more, with a level less below it."""
        items = self._length if self._levels else 0
        return iter([Anything(self._levels - 1, self._length) for _ in range(items)])

    def __len__(self) -> int:
        """Be as long as said, or empty at the end."""
        return self._length if self._levels else 0

    def __str__(self) -> str:
        """Be printed as a word."""
        return TEXT


class OpenObject(dict[str, Any]):
    """An object with some declared members; it has every other member too."""

    __slots__ = ()

    def __missing__(self, key: str) -> Anything:
        """Return a stand-in for an undeclared member."""
        if key.startswith("_"):
            raise KeyError(key)
        return Anything()


def sample_values(declared: Sequence[Declared]) -> dict[str, Any]:
    """Return a value for each variable: its example or default, or one made from its type."""
    values = {}
    for variable in declared:
        known = (variable.get("example"), variable.get("default"))
        made = BY_TYPE.get(
            variable["type"], {"array": [TEXT], "object": {}}.get(variable["type"], TEXT)
        )
        values[variable["name"]] = next((value for value in known if value is not None), made)
    return nested(values)


def is_invented(value: object) -> bool:
    """Return whether a value of a trial render is invented."""
    if isinstance(value, list):
        return any(is_invented(item) for item in value)
    return isinstance(value, Anything) or value == TEXT
