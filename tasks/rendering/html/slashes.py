"""Slashes of values in HTML: the engine escapes them, and they are written as they are.

MiniJinja writes ``/`` as ``&#x2f;``, which protects nothing in text or in quoted attribute values
(HTML standard, sections 13.1.2.3 and 13.2.5.36), and hides ``https://`` from click trackers and
gateways. The engine has no setting for it. A finalizer would cost a call of Python for each print;
one replacement in the finished page takes about a microsecond for each kilobyte.
"""

from typing import Final

from tasks.rendering.tags import tags

_ESCAPED: Final = "&#x2f;"
"""No value can bring it: its ampersand is escaped as well."""

_OWN: Final = "&#x2F;"
"""An author's own reference for the engine: of the same meaning and length, and no value's."""


def with_own_references(source: str) -> str:
    """Return ``source`` as the engine gets it: its references to a slash as no value has them.

    Slashes within tags are texts of the template, which are escaped when they are printed.
    """
    if _ESCAPED not in source:
        return source
    parts = []
    last = 0
    for tag in tags(source):
        parts += [source[last : tag.start].replace(_ESCAPED, _OWN), source[tag.start : tag.end]]
        last = tag.end
    return "".join([*parts, source[last:].replace(_ESCAPED, _OWN)])


def with_slashes(page: str) -> str:
    """Return what the engine gave for such a source, slashes of values unescaped."""
    return page.replace(_ESCAPED, "/")
