"""Numbers that the engine cannot hold: exact decimals, and integers beyond 64 bits.

A template prints them and hands them to filters; a comparison gets them as numbers. The engine sees
an object that it can only print, so that arithmetic with one is an error and never rounded.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from tasks.rendering.paths import ITEM, Path

LARGEST: Final = 2**63 - 1
SMALLEST: Final = -(2**63)
_TEXT: Final = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")


class Exact:
    """A number as it was given: a text, an integer or a float."""

    __slots__ = ("given", "number", "text")

    def __init__(self, given: str | float) -> None:
        self.given = given
        # The shortest text that is the same float is what its sender wrote.
        self.number = Decimal(given if isinstance(given, str | int) else repr(given))
        self.text = given if isinstance(given, str) else f"{self.number:f}"

    def __str__(self) -> str:
        """Return the number as it was written."""
        return self.text

    # The engine prints the items of a list by it.
    __repr__ = __str__

    def __bool__(self) -> bool:
        """Be false for zero."""
        return bool(self.number)

    def __eq__(self, other: object) -> bool:
        """Compare the numbers, however many zeros they are written with."""
        return isinstance(other, Exact) and self.number == other.number

    def __lt__(self, other: "Exact") -> bool:
        """Compare the numbers, as the engine does to sort them."""
        return self.number < other.number

    def __hash__(self) -> int:
        """Return the same for equal numbers."""
        return hash(self.number)


def whole(digits: str | int) -> int | Exact:
    """Return an integer as the engine can have it."""
    number = int(digits)
    return number if SMALLEST <= number <= LARGEST else Exact(number)


def simplified(number: Decimal) -> int | float | Exact:
    """Return a number as the engine has it, where nothing is lost."""
    if number == number.to_integral_value():
        return whole(int(number))
    return float(number) if Decimal(repr(float(number))) == number else Exact(f"{number:f}")


def is_decimal_text(text: str) -> bool:
    """Return whether a text is a decimal number: digits, perhaps a point and a minus."""
    return _TEXT.fullmatch(text) is not None


def plain(value: Any) -> Any:  # noqa: ANN401 - any value of a template
    """Return an exact number, or a list with exact numbers, for the locale filters."""
    if isinstance(value, Exact):
        return value.given if isinstance(value.given, int) else value.text
    return [plain(item) for item in value] if isinstance(value, list) else value


def made_exact(values: dict[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """Return values with the numbers at ``paths``, and the texts that are numbers, as they are."""
    for path in paths:
        _make_exact(values, path)
    return values


def _make_exact(node: Any, path: Path) -> None:  # noqa: ANN401 - any JSON value
    step, rest = path[0], path[1:]
    keys: Iterable[Any] = ()
    if step == ITEM and isinstance(node, list):
        keys = range(len(node))
    elif step != ITEM and isinstance(node, dict) and step in node:
        keys = (step,)
    for key in keys:
        value = node[key]
        if rest:
            _make_exact(value, rest)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            # Objects refuse to be changed by templates only.
            node[key] = Exact(value)
