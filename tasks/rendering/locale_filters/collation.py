# ruff: noqa: RUF001 - letters of other scripts are what this is about
"""Order of texts in a language (CLDR, collation), for languages whose alphabets are known here.

CLDR's own tables need ICU. What readers of lists see of them is here: letters with marks sort with
their letters, or where the alphabet of the language has them; case and marks decide between equals;
digits come before letters, and the script of the language before others.
"""

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from tasks.rendering.matching.subtags import subtags

_LATIN: Final = "a b c d e f g h i j k l m n o p q r s t u v w x y z"
_CYRILLIC: Final = "а б в г д е ж з и й к л м н о п р с т у ф х ц ч ш щ ъ ы ь э ю я"

_ALPHABETS: Final[Mapping[str, str]] = {
    "az": "a b c ç d e ə f g ğ h x ı i j k q l m n o ö p r s ş t u ü v w y z",
    "be": "а б в г д е ё ж з і й к л м н о п р с т у ў ф х ц ч ш ы ь э ю я",
    "bg": "а б в г д е ж з и й к л м н о п р с т у ф х ц ч ш щ ъ ь ю я",
    "bs": "a b c č ć d dž đ e f g h i j k l lj m n nj o p q r s š t u v w x y z ž",
    "cs": "a b c č d e f g h ch i j k l m n o p q r ř s š t u v w x y z ž",
    "cy": "a b c ch d dd e f ff g ng h i j k l ll m n o p ph q r rh s t th u v w x y z",
    "da": f"{_LATIN} æ ø å",
    "el": "α β γ δ ε ζ η θ ι κ λ μ ν ξ ο π ρ σ τ υ φ χ ψ ω",
    "eo": "a b c ĉ d e f g ĝ h ĥ i j ĵ k l m n o p q r s ŝ t u ŭ v w x y z",
    "es": "a b c d e f g h i j k l m n ñ o p q r s t u v w x y z",
    "et": "a b c d e f g h i j k l m n o p q r s š z ž t u v w õ ä ö ü x y",
    "fi": f"{_LATIN} å ä ö",
    "hr": "a b c č ć d dž đ e f g h i j k l lj m n nj o p q r s š t u v w x y z ž",
    "hu": "a b c cs d dz dzs e f g gy h i j k l ly m n ny o ö p q r s sz t ty u ü v w x y z zs",
    "is": "a á b c d ð e é f g h i í j k l m n o ó p q r s t u ú v w x y ý z þ æ ö å",
    "lt": "a b c č d e f g h i j k l m n o p q r s š t u v w x z ž",
    "lv": "a b c č d e f g ģ h i j k ķ l ļ m n ņ o p q r s š t u v w x z ž",
    "mk": "а б в г д ѓ е ж з ѕ и ј к л љ м н њ о п р с т ќ у ф х ц ч џ ш",
    "nb": f"{_LATIN} æ ø å",
    "nn": f"{_LATIN} æ ø å",
    "no": f"{_LATIN} æ ø å",
    "pl": "a ą b c ć d e ę f g h i j k l ł m n ń o ó p q r s ś t u v w x y z ź ż",
    "ro": "a ă â b c d e f g h i î j k l m n o p q r s ș t ț u v w x y z",
    "ru": _CYRILLIC,
    "sk": "a ä b c č d e f g h ch i j k l m n o ô p q r s š t u v w x y z ž",
    "sl": "a b c č ć d đ e f g h i j k l m n o p q r s š t u v w x y z ž",
    "sq": "a b c ç d dh e ë f g gj h i j k l ll m n nj o p q r rr s sh t th u v w x xh y z zh",
    "sr": "а б в г д ђ е ж з и ј к л љ м н њ о п р с т ћ у ф х ц ч џ ш",
    "sv": f"{_LATIN} å ä ö",
    "tr": "a b c ç d e f g ğ h ı i j k l m n o ö p q r s ş t u ü v w x y z",
    "uk": "а б в г ґ д е є ж з и і ї й к л м н о п р с т у ф х ц ч ш щ ь ю я",
    "vi": "a ă â b c d đ e ê f g h i j k l m n o ô ơ p q r s t u ư v w x y z",
}
_PLAIN: Final = frozenset(
    {"af", "ca", "de", "en", "eu", "fr", "ga", "gl", "id", "it", "lb", "ms", "nl", "pt", "sw"}
)
"""Languages of the Latin alphabet whose letters with marks sort with their letters."""

_SAME: Final[Mapping[str, Mapping[str, str]]] = {
    "da": {"aa": "å", "ä": "æ", "ö": "ø"},
    "fi": {"æ": "ä", "ø": "ö"},
    "hu": {"ő": "ö", "ű": "ü"},
    "lt": {"y": "i"},
    "lv": {"y": "i"},
    "nb": {"aa": "å", "ä": "æ", "ö": "ø"},
    "nn": {"aa": "å", "ä": "æ", "ö": "ø"},
    "no": {"aa": "å", "ä": "æ", "ö": "ø"},
    "ro": {"ş": "ș", "ţ": "ț"},
    "sv": {"æ": "ä", "ø": "ö"},
}
"""What an alphabet takes for one of its letters."""

_SCRIPTS: Final = {"Latn": "LATIN", "Cyrl": "CYRILLIC", "Grek": "GREEK"}
_EXPANDED: Final = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ı": "i"}
_SPANISH: Final = frozenset({"eu", "gl"})

Key = tuple[tuple[tuple[int, int, int], ...], str, str]


def has_order(language: str) -> bool:
    """Return whether texts of a language can be put in its order."""
    return _base(language) is not None


def sort_key(language: str, text: str) -> Key:
    """Return what texts of a language are sorted by: letters, then marks, then case."""
    folded = _folded(language, text)
    letters = _letters(_base(language) or "en")
    longest = max(map(len, letters))
    primary: list[tuple[int, int, int]] = []
    position = 0
    while position < len(folded):
        for length in range(min(longest, len(folded) - position), 0, -1):
            rank = letters.get(folded[position : position + length])
            if rank is not None:
                primary.append((2, 0, rank))
                position += length
                break
        else:
            primary += _ranks(folded[position], letters)
            position += 1
    # Lower case comes before upper case.
    return tuple(primary), folded, text.swapcase()


@lru_cache(maxsize=1024)
def _base(language: str) -> str | None:
    """Return the language whose alphabet orders texts of a language, if one is known."""
    base, script, *_ = subtags(language)
    if (base, script) == ("sr", "Latn"):
        return "hr"
    if base in _PLAIN:
        return base if script == "Latn" else None
    if base not in _ALPHABETS:
        return None
    written = unicodedata.name(_ALPHABETS[base][0]).partition(" ")[0]
    return base if _SCRIPTS.get(script) == written else None


def _folded(language: str, text: str) -> str:
    if subtags(language).language in {"az", "tr"}:
        text = text.translate({0x130: "i", 0x49: "ı"})
    return unicodedata.normalize("NFC", text).casefold()


@lru_cache(maxsize=64)
def _letters(base: str) -> Mapping[str, int]:
    """Return the letters of an alphabet with their ranks."""
    alphabet = _ALPHABETS["es"] if base in _SPANISH else _ALPHABETS.get(base, _LATIN)
    letters = {letter: rank for rank, letter in enumerate(alphabet.split())}
    for other, letter in _SAME.get(base, {}).items():
        letters[other] = letters[letter]
    return letters


def _ranks(character: str, letters: Mapping[str, int]) -> list[tuple[int, int, int]]:
    """Return the ranks of a character that the alphabet does not have as it is."""
    base = _EXPANDED.get(character) or unicodedata.normalize("NFD", character)
    bases = [each for each in base if not unicodedata.combining(each)]
    if bases != [character]:
        return [rank for each in bases for rank in _ranks(each, letters)]
    if character in letters:
        return [(2, 0, letters[character])]
    if character.isalpha():
        return [(2, 1, ord(character))]
    if character.isdigit():
        return [(1, 0, unicodedata.digit(character))]
    return [(0, 0, ord(character))] if not unicodedata.combining(character) else []
