"""Direction of writing of a language."""

from functools import lru_cache
from typing import Final, Literal

from tasks.rendering.matching.subtags import subtags

_SCRIPTS: Final = (
    "Adlm Arab Aran Armi Avst Chrs Cprt Elym Gara Hatr Hebr Hung Khar Lydi Mand Mani Mend Merc "
    "Mero Narb Nbat Nkoo Orkh Ougr Palm Phli Phlp Phnx Prti Rohg Samr Sarb Sogd Sogo Syrc Syre "
    "Syrj Syrn Thaa Yezi"
)
_RIGHT_TO_LEFT: Final = frozenset(_SCRIPTS.split())
"""Scripts that are written from right to left (CLDR, scriptMetadata), living and extinct."""

Direction = Literal["ltr", "rtl"]


@lru_cache(maxsize=1024)
def direction_of(language: str) -> Direction:
    """Return in which direction a language is written, as HTML's ``dir`` says it."""
    return "rtl" if subtags(language).script in _RIGHT_TO_LEFT else "ltr"


def is_right_to_left(language: str) -> bool:
    """Return whether a language is written from right to left."""
    return direction_of(language) == "rtl"
