"""Direction of writing of a language."""

from functools import lru_cache
from typing import Final, Literal

from tasks.rendering.matching.subtags import subtags

_RIGHT_TO_LEFT: Final = frozenset(
    {"Adlm", "Arab", "Aran", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi"}
)
"""Scripts of living languages that are written from right to left (CLDR, scriptMetadata)."""

Direction = Literal["ltr", "rtl"]


@lru_cache(maxsize=1024)
def direction_of(language: str) -> Direction:
    """Return in which direction a language is written, as HTML's ``dir`` says it."""
    return "rtl" if subtags(language).script in _RIGHT_TO_LEFT else "ltr"


def is_right_to_left(language: str) -> bool:
    """Tell whether a language is written from right to left."""
    return direction_of(language) == "rtl"
