"""Upper and lower case where a language has rules of its own (CLDR, SpecialCasing and ICU)."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

_ACUTE, _DIAERESIS, _DOT_ABOVE = "\u0301", "\u0308", "\u0307"
_WORD: Final = re.compile(r"[\w'\u2019]+")
_LITHUANIAN: Final = re.compile("([ijIJ\u012e\u012f])(?=[\u0300\u0301\u0303])")
_ARMENIAN_EW: Final = "\u0587"

CASES: Final = {"upper": "_uppr", "lower": "_lowr", "capitalize": "_capitaliz", "title": "_titl"}
"""The filters that change case, and their names in languages with rules of their own."""

_LANGUAGES: Final = frozenset({"az", "el", "hy", "lt", "nl", "tr"})


def has_rules(language: str) -> bool:
    """Return whether a language has rules of its own."""
    return language.partition("-")[0] in _LANGUAGES


def cased(name: str, language: str, text: str) -> str:
    """Return a text in the case that a filter of :data:`CASES` writes in a language."""
    return _FILTERS[name](language.partition("-")[0], text)


def _upper(language: str, text: str) -> str:
    if language in {"az", "tr"}:
        return text.replace("i", "\u0130").upper()
    if language == "el":
        return _greek_upper(text)
    if language == "lt":
        text = re.sub(f"([ij\u012f]){_DOT_ABOVE}", r"\1", unicodedata.normalize("NFD", text))
        return unicodedata.normalize("NFC", text.upper())
    if language == "hy":
        text = text.replace(_ARMENIAN_EW, "\u0565\u057e")
    return text.upper()


def _lower(language: str, text: str) -> str:
    if language in {"az", "tr"}:
        return text.replace(f"I{_DOT_ABOVE}", "i").translate({0x130: "i", 0x49: "\u0131"}).lower()
    if language == "lt":
        text = unicodedata.normalize("NFD", text)
        # The dot of an i stays where an accent is above it.
        text = _LITHUANIAN.sub(rf"\1{_DOT_ABOVE}", text)
        return unicodedata.normalize("NFC", text.lower())
    return text.lower()


def _capitalized(language: str, text: str) -> str:
    if language == "nl" and text[:2].lower() == "ij":
        return f"IJ{text[2:].lower()}"
    if language == "hy" and text[:1] == _ARMENIAN_EW:
        return f"\u0535\u057e{text[1:].lower()}"
    first = text[:1]
    # Letters such as ß and ǆ begin a word in another form than they have among capitals.
    # Greek words written in capitals lose their accents, and capitalized ones keep them.
    keeps_accent = language == "el" or first.title() != first.upper()
    first = first.title() if keeps_accent else _upper(language, first)
    # A sigma at the end of a word becomes ς only if a letter precedes it: here the q.
    return first + _lower(language, f"q{text[1:]}")[1:]


def _greek_upper(text: str) -> str:
    """Return Greek capitals, which have no accents but the diaeresis."""
    if text in {"\u03ae", "\u0389"}:
        return "\u0389"  # the word "or"
    result: list[str] = []
    was_accented = False
    decomposed = unicodedata.normalize("NFD", text)
    position = 0
    while position < len(decomposed):
        base = decomposed[position]
        end = position + 1
        while end < len(decomposed) and unicodedata.combining(decomposed[end]):
            end += 1
        marks = decomposed[position + 1 : end]
        position = end
        is_greek = unicodedata.name(base, "").startswith("GREEK")
        if not is_greek:
            result.append(base.upper() + marks)
            was_accented = False
            continue
        rest = _DIAERESIS if _DIAERESIS in marks else ""
        # The accent said that two vowels are apart; without it the diaeresis has to.
        if was_accented and base.lower() in "\u03b9\u03c5" and not marks:
            rest = _DIAERESIS
        result.append(base.upper() + rest)
        was_accented = _ACUTE in marks and base.lower() in "\u03b1\u03b5\u03bf\u03b7"
    return unicodedata.normalize("NFC", "".join(result))


_FILTERS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "upper": _upper,
    "lower": _lower,
    "capitalize": _capitalized,
    "title": lambda language, text: _WORD.sub(lambda word: _capitalized(language, word[0]), text),
}
