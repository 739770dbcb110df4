"""Slashes of values in HTML: the engine escapes them, and they are written as they are.

MiniJinja writes ``/`` as ``&#x2f;``, which protects nothing in text or in quoted attribute values
(HTML standard, sections 13.1.2.3 and 13.2.5.36), and hides ``https://`` from click trackers and
gateways. The engine has no setting for it. A finalizer would cost a call of Python for each print;
one replacement in the finished page takes about a microsecond for each kilobyte.
"""

from typing import Final

_ESCAPED: Final = "&#x2f;"
"""No value can bring it: its ampersand is escaped as well."""

_MARKED: Final = "\x1f#x2f;"
"""How a reference of the author's own is written for the engine; as long, in bytes too."""


def with_marked_slashes(source: str) -> str:
    """Return ``source`` as the engine gets it, its own references to a slash marked."""
    return source.replace(_ESCAPED, _MARKED) if _ESCAPED in source else source


def with_slashes(page: str) -> str:
    """Return what the engine gave for a marked source, slashes of values unescaped."""
    if _ESCAPED in page:
        page = page.replace(_ESCAPED, "/")
    # A value may hold the mark too, and becomes the reference then, which is read as a slash.
    return page.replace(_MARKED, _ESCAPED) if _MARKED[0] in page else page
