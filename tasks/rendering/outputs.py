"""Rules of the rendered output: pure, no I/O."""

import hashlib
import re
from typing import Final

# U+202A-202E and U+2066-2069 reorder what a reader sees (Unicode Standard Annex 9, section 2).
ISOLATES: Final = "\u2066\u2067\u2068\u2069"
"""LRI, RLI, FSI and PDI, which order a part of a text and leave what is around it."""

_OVERRIDES: Final = "\u202a\u202b\u202c\u202d\u202e"
BIDI_CONTROLS: Final = f"{_OVERRIDES}{ISOLATES}"

SUBJECT_CHARACTERS: Final = 998  # RFC 5322, section 2.1.1: the longest line of a message
HTML_TYPES = frozenset({"email", "in_app", "partial"})

_LINE_BREAKS = re.compile("[\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029 ]+")
_INVISIBLE = re.compile(f"[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f{_OVERRIDES}]")


def one_line(text: str) -> str:
    """Return a rendered subject as one line, so that no value can add a header field.

    Line breaks, tabs and runs of spaces become one space; controls go, and those bidi controls that
    reorder what follows them. Isolates stay: see :mod:`tasks.rendering.bidi`.
    """
    if text.isprintable() and "  " not in text:
        return text.strip()
    # First what goes: between two spaces it would leave both.
    return _LINE_BREAKS.sub(" ", _INVISIBLE.sub("", text)).strip()


def without_nul(text: str) -> str:
    """Return ``text`` with U+FFFD for U+0000, as the HTML standard reads it (section 13.2.5)."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def is_html(template_type: str) -> bool:
    """Return whether bodies of this type are HTML."""
    return template_type in HTML_TYPES


def sha256(subject: str | None, body: str) -> str:
    """Return the hex SHA-256 of the subject, one NUL byte and the body, in UTF-8."""
    digest = hashlib.sha256((subject or "").encode())
    digest.update(b"\x00")
    digest.update(body.encode())
    return digest.hexdigest()
