"""Values in CSS, by position: valid ones as text, others refused. Pure, no I/O."""

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from tasks.rendering.locale_filters import InputError

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_HEX = r"[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}"
_FUNCTION = (
    rf"(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch)\(\s*{_NUMBER}(?:%|[a-z]{{1,4}})?"
    rf"(?:[\s,/]+(?:{_NUMBER}(?:%|[a-z]{{1,4}})?|none))*\s*\)"
)
_COLOUR = rf"\#(?:{_HEX})|[a-zA-Z]+|{_FUNCTION}"
_ITEM = (
    rf"\#(?:{_HEX})|{_FUNCTION}|{_NUMBER}(?:%|[a-zA-Z]{{1,5}})?|-?[a-zA-Z_][\w-]*"
    r"""|"[\w .,-]*"|'[\w .,-]*'"""
)
# Values are short: a value that does not match is not tried in too many ways.
_MOST_CHARACTERS: Final = 2000

_VALUES = rf"(?:(?:{_ITEM})(?:(?:\s*[,/]\s*|\s+)(?:{_ITEM}))*)?"
_LENGTH: Final = "expected lengths with their units, such as 12px, 50% or 0"
_BETWEEN = re.compile(r"\([^()]*\)|[\s,/]+")
_BARE = re.compile(_NUMBER, re.ASCII)

_PATTERNS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "colour": (
        re.compile(rf"(?:{_COLOUR})?", re.ASCII),
        "expected a colour, such as #0a66c2, red or rgb(10, 102, 194)",
    ),
    "hex": (re.compile(rf"(?:{_HEX})?"), "expected the 3, 4, 6 or 8 hex digits of a colour"),
    "number": (re.compile(rf"(?:{_NUMBER})?", re.ASCII), "expected a number, such as 12 or 1.5"),
    "word": (
        re.compile(r"[+-]?[\w.-]*%?", re.ASCII),
        "expected a number or a word of letters, digits, - and _",
    ),
    "name": (
        re.compile(r"[\w-]*", re.ASCII),
        "expected a name of letters, digits, - and _",
    ),
    "length": (
        re.compile(_VALUES, re.ASCII),
        _LENGTH,
    ),
    "value": (
        re.compile(_VALUES, re.ASCII),
        "expected colours, lengths, numbers, percentages or names, such as #0a66c2, 12px or bold",
    ),
}
_SCHEME = re.compile(r"([^/?#:]*):")
_IMAGE = re.compile(r"data:image/(?:gif|jpe?g|png|webp|avif)[;,]", re.IGNORECASE)
_SCHEMES: Final = frozenset({"cid", "http", "https"})
_ADDRESS: Final = (
    "expected an address that begins with https:, http: or cid:, or one without a scheme"
)
_KEPT: Final = "-._~:/?#[]@!$&*+,;=%"
_UNSAFE = re.compile(r"[^\w .,!?%#=+~|:-]")
_IGNORED = re.compile(r"\A[\x00-\x20]+|[\x00-\x20]+\Z|[\t\n\r]+")


def css_text(kind: str, value: str) -> str:
    """Return a value as it may be at a position of a style.

    What comes back has no ``<``, and ends no string, address, value, declaration or element.

    Parameters
    ----------
    kind
        ``colour``, ``hex`` (its digits), ``number``, ``word`` (next to other characters),
        ``name`` (of a selector or in that of a property), ``value`` (colours, lengths, numbers and
        names), ``length`` (the same, but no number except 0 without its unit), ``string``, ``url``
        (an address from its beginning) or ``part`` (the rest of one).

    Raises
    ------
    InputError
        There is no way to write it.
    """
    if kind in _PATTERNS:
        pattern, message = _PATTERNS[kind]
        text = value.strip()
        if len(text) > _MOST_CHARACTERS or pattern.fullmatch(text) is None:
            raise InputError(message)
        if kind == "length" and any(map(_lacks_unit, _BETWEEN.split(text))):
            raise InputError(_LENGTH)
        return text
    return _ENCODERS[kind](value)


def _lacks_unit(item: str) -> bool:
    return _BARE.fullmatch(item) is not None and float(item) != 0


def _string(value: str) -> str:
    # Section 4.3.7: a hex number and a space; U+0000 cannot be written.
    text = value.replace("\x00", "\ufffd")
    return _UNSAFE.sub(lambda match: f"\\{ord(match[0]):x} ", text)


def _part(value: str) -> str:
    return quote(value, _KEPT)


def _url(value: str) -> str:
    # URL standard, section 4.4: what a browser removes before it looks for a scheme.
    text = _IGNORED.sub("", value)
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in _SCHEMES and not _IMAGE.match(text):
        raise InputError(_ADDRESS)
    return _part(text)


_ENCODERS: Final[Mapping[str, Callable[[str], str]]] = {
    "string": _string,
    "url": _url,
    "part": _part,
}
