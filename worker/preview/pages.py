"""Rendered HTML as the frames of the preview show it. Pure."""

import hashlib
import re
from collections import OrderedDict
from typing import Final

_KEPT: Final = 64
"""Renders that are kept for frames; each change makes a new one."""

_DARK: Final = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)", re.IGNORECASE)
_LIGHT: Final = re.compile(r"\(\s*prefers-color-scheme\s*:\s*light\s*\)", re.IGNORECASE)
_HTML: Final = re.compile(r"<html\b[^>]*>", re.IGNORECASE)
_DIR: Final = re.compile(r"""\sdir\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)
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
        tag = _HTML.search(body)
        head = body.lower().find("<head>")
        place = head + len("<head>") if head >= 0 else (tag.end() if tag else 0)
        body = f"{body[:place]}{_BASE}{body[place:]}"
    return body


def has_dark_styles(body: str) -> bool:
    """Tell whether a body has styles for a dark screen."""
    return _DARK.search(body) is not None


def _right_to_left(body: str) -> str:
    tag = _HTML.search(body)
    if tag is None:
        return f'<html dir="rtl">{body}'
    bare = _DIR.sub("", tag[0])
    return f'{body[: tag.start()]}{bare[:-1]} dir="rtl">{body[tag.end() :]}'
