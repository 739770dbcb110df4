"""Addresses of HTTP servers, as they are written in settings."""

import re
from typing import Final

_ADDRESS: Final = re.compile(
    r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:\[\]/]*)):(?P<port>\d{1,5})"
)
_MOST: Final = 65_535


def host_and_port(text: str) -> tuple[str, int]:
    """Return the host, empty for all of the machine's, and the port of ``HOST:PORT``.

    Raises
    ------
    ValueError
        It is none.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > _MOST:
        raise ValueError("HOST:PORT was expected, such as 127.0.0.1:9808, or :9808 for every host")
    return match["six"] or match["host"] or "", int(match["port"])


def checked(text: str) -> str:
    """Return an address, or the empty text, unchanged.

    Raises
    ------
    ValueError
        It is neither.
    """
    if text:
        host_and_port(text)
    return text
