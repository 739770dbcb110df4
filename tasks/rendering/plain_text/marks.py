"""The marks of line breaks, lists, quotes and links in a rendered text alternative.

Marks are controls that no page holds. Only once the text is rendered is it known whether a link's
label is empty, which breaks meet, and how many items a list has; see
:func:`tasks.rendering.plain_text.finish.finished`.
"""

import re
from typing import Final

# None of the marks is whitespace to str.split(), as U+001C to U+001F are.
HARD_LINE: Final = "\x02"
"""A line break of preformatted text, which meets no other."""

HARD_SPACE: Final = "\x03"
QUOTE: Final = "\x04"
QUOTE_END: Final = "\x05"
PRE: Final = "\x06"
PRE_END: Final = "\x07"
STRIKE: Final = "\x08"
STRIKE_END: Final = "\x01"
LIST: Final = "\x0e"  # its kind follows, up to PARAMETERS_END
LIST_END: Final = "\x0f"
PARAGRAPH: Final = "\x10"
LINE: Final = "\x11"
BREAK: Final = "\x12"
ITEM: Final = "\x13"  # VALUE, its number and PARAMETERS_END may follow
ITEM_END: Final = "\x14"
LINK: Final = "\x15"  # the address follows
LABEL: Final = "\x16"
LINK_END: Final = "\x17"
PARAMETERS_END: Final = "\x18"
VALUE: Final = "\x19"

# A mark that a value brought in has the parameters of no other.
_PARAMETERS: Final = f"[^\x00-\x1f]*{PARAMETERS_END}"
WITH_PARAMETERS: Final = f"{LIST}{_PARAMETERS}|{ITEM}{VALUE}{_PARAMETERS}"
"""Pattern of a list or an item with its parameters."""

BREAKS: Final = f"{PARAGRAPH}{LINE}{BREAK}{ITEM}{ITEM_END}"
STRUCTURE: Final = f"{LIST}{LIST_END}{ITEM}{ITEM_END}{QUOTE}{QUOTE_END}{HARD_LINE}"
"""Marks of lines whose beginning depends on the surrounding block."""

_FOREIGN: Final = dict.fromkeys([*range(0x01, 0x09), *range(0x0E, 0x1A)])
# A backslash and what follows: the mark's number, a backspace, or anything else, which stays.
_ESCAPED: Final = re.compile(rb"\\(?:u00(?:0[1-8ef]|1[0-9])|b|(.))", re.DOTALL)


def without_marks(text: str) -> str:
    """Return a source or page without characters that would be taken for marks."""
    return text.translate(_FOREIGN)


def without_escaped_marks(payload: bytes) -> bytes:
    """Return values as JSON, as :func:`tasks.rendering.frames.encode` writes it, without them.

    HTML does not allow these controls (HTML standard, section 13.2.3.5).
    """
    return _ESCAPED.sub(_kept, payload) if b"\\" in payload else payload


def _kept(match: re.Match[bytes]) -> bytes:
    return b"" if match[1] is None else match[0]
