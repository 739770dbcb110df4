"""Rendered HTML as the frames of the preview show it. Pure."""

import hashlib
import re
from collections import OrderedDict
from html import unescape
from typing import Final

from tasks.rendering.html.markup import tokens
from tasks.rendering.plain_text.elements import HIDDEN, START_MARKS

_KEPT: Final = 64
"""Renders that are kept for frames; each change makes a new one."""

_DARK: Final = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)", re.IGNORECASE)
_LIGHT: Final = re.compile(r"\(\s*prefers-color-scheme\s*:\s*light\s*\)", re.IGNORECASE)
_DIR: Final = re.compile(r"""\sdir\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)
_INBOX_CHARACTERS: Final = 140
# What authors put after a preheader, so that nothing of the body follows it.
_FILLING: Final = re.compile(r"[\u034f\u00ad\u200b\u200c\u2060\ufeff]+(?=\s|$)")
_SPACES: Final = re.compile(r"[ \t\r\n\f]+")
_BREAKS: Final = frozenset({*START_MARKS, "br", "li"})
_BASE: Final = '<meta name="color-scheme" content="dark">'


class Pages:
    """Rendered bodies, by a name that depends on nothing but the body."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[str, str] = OrderedDict()

    def add(self, body: str) -> str:
        """Keep a body for its frames; return its name."""
        name = hashlib.sha256(body.encode()).hexdigest()
        self._bodies[name] = body
        self._bodies.move_to_end(name)
        while len(self._bodies) > _KEPT:
            self._bodies.popitem(last=False)
        return name

    def get(self, name: str) -> str | None:
        """Return the body of a name, None where it is not kept any more."""
        return self._bodies.get(name)


def shown(body: str, *, dark: bool = False, right_to_left: bool = False) -> str:
    """Return a body as a frame shows it; without an option it is unchanged, byte for byte.

    Parameters
    ----------
    body
        The rendered body.
    dark
        Apply the styles for a dark screen, whatever the screen of this machine is.
    right_to_left
        Lay the page out from right to left.
    """
    if right_to_left:
        body = _right_to_left(body)
    if dark:
        # Each condition becomes one that holds, or does not, on every screen.
        body = _LIGHT.sub("(max-width: 0)", _DARK.sub("(min-width: 0)", body))
        _, place = _tag(body, "head") or _tag(body, "html") or (0, 0)
        body = f"{body[:place]}{_BASE}{body[place:]}"
    return body


def inbox_line(body: str) -> str:
    """Return the line that an inbox shows after the subject: the first words of a body.

    Unlike the text part, that is also what the page hides, such as a preheader.
    """
    parts = []
    last = 0
    hidden = ""
    for token in tokens(body):
        if hidden == "head" and token.name == "body":
            hidden = ""
        if not hidden:
            parts.append(body[last : token.start])
            if token.name in _BREAKS:
                parts.append(" ")
        last = token.end
        if token.sort == "start" and not hidden and token.name in HIDDEN:
            hidden = token.name
        elif token.sort == "end" and token.name == hidden:
            hidden = ""
    words = _FILLING.sub("", unescape("".join([*parts, body[last:]])))
    # No-break spaces fill the line.
    return " ".join(_SPACES.sub(" ", words).strip()[:_INBOX_CHARACTERS].split())


def has_dark_styles(body: str) -> bool:
    """Return whether a body has styles for a dark screen."""
    return _DARK.search(body) is not None


def _right_to_left(body: str) -> str:
    found = _tag(body, "html")
    if found is None:
        return f'<html dir="rtl">{body}'
    start, end = found
    bare = _DIR.sub("", body[start:end])
    return f'{body[:start]}{bare[:-1]} dir="rtl">{body[end:]}'


def _tag(body: str, name: str) -> tuple[int, int] | None:
    """Return where the start tag of an element is, ignoring those in comments."""
    found = (each for each in tokens(body) if each.sort == "start" and each.name == name)
    return next(((each.start, each.end) for each in found), None)
