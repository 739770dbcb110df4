"""Numbers that the engine cannot hold: exact decimals, and integers beyond 64 bits.

A template prints them and hands them to filters; a comparison gets them as numbers. The engine sees
an object that it can only print, so that arithmetic on one is an error and never rounded.
"""

import re
from decimal import Decimal
from typing import Final

_TEXT: Final = re.compile(r"[-+]?(?:\d{1,30}(?:\.\d{1,30})?|\.\d{1,30})")
LARGEST: Final = 2**63 - 1
SMALLEST: Final = -(2**63)


class Exact:
    """A number as it was written."""

    __slots__ = ("number", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.number = Decimal(text)

    def __str__(self) -> str:
        """Return it as it was written."""
        return self.text

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


def is_decimal_text(text: str) -> bool:
    """Tell whether a text is a decimal number: digits, a point, and a sign before."""
    return _TEXT.fullmatch(text) is not None
