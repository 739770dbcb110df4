"""Encoding and number of segments of an SMS: pure, no I/O."""

import re
from dataclasses import dataclass
from typing import Final, Literal

# 3GPP TS 23.038, section 6.2.1, in the order of the codes 0x00 to 0x7F without the escape, 0x1B.
_DEFAULT: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = frozenset("\f^{}\\[~]|€")  # section 6.2.1.1: an escape and a second septet
_ALPHABET: Final = _DEFAULT | EXTENSION

_ESCAPE: Final = "\x1b"
_LEAD: Final = "\ud800"
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Count:
    """Encoding, length and segments of a text.

    ``length`` is in septets for GSM-7 and in code units of 16 bits for UCS-2; ``segments`` is the
    number of short messages that are sent, and charged.
    """

    encoding: Literal["GSM-7", "UCS-2"]
    length: int
    segments: int


def count(text: str) -> Count:
    """Return what ``text`` takes as a short message, or as several that a phone joins again.

    A text of the default alphabet and its extension table (3GPP TS 23.038, section 6.2.1) is sent
    in septets, any other in UTF-16, which phones take for the UCS-2 of the standard. One message
    holds 140 octets: 160 septets or 70 code units. Each of several begins with a header of
    6 octets (3GPP TS 23.040, section 9.2.3.24.1) and holds 153 or 67. An escape stays with its
    character and a surrogate with its other half, so a segment may be one short of full.

    An empty text is one segment: a message is sent, with nothing in it. More than 255 segments
    are counted too, but the header has no number for them. National language tables, which a
    sender has to ask a network for, are left out.
    """
    used = set(text)
    if used <= _ALPHABET:
        if used.isdisjoint(EXTENSION):
            return Count("GSM-7", len(text), _even(len(text), 160, 153))
        units = text
        for character in used & EXTENSION:
            units = units.replace(character, f"{_ESCAPE}{character}")
        return Count("GSM-7", len(units), _packed(units, _ESCAPE, 160, 153))
    if max(used) <= "\uffff":
        return Count("UCS-2", len(text), _even(len(text), 70, 67))
    # Only where a pair begins matters, and so one pair stands for all.
    units = _ASTRAL.sub(f"{_LEAD}\udc00", text)
    return Count("UCS-2", len(units), _packed(units, _LEAD, 70, 67))


def beyond_gsm(text: str) -> list[str]:
    """Return the characters that make a text UCS-2, each once, in the order of the text."""
    return [character for character in dict.fromkeys(text) if character not in _ALPHABET]


def _even(length: int, alone: int, joined: int) -> int:
    """Return the segments of a text in which each character is one unit."""
    return 1 if length <= alone else -(-length // joined)


def _packed(units: str, lead: str, alone: int, joined: int) -> int:
    """Return the segments of a text in which ``lead`` is never the last unit of a segment."""
    length = len(units)
    if length <= alone:
        return 1
    segments = 0
    position = 0
    while position < length:
        position += joined
        # Beyond the end nothing is split; a lead itself is never the last unit of a text.
        if position < length and units[position - 1] == lead:
            position -= 1
        segments += 1
    return segments
