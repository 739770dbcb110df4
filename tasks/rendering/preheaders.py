"""The preheader: the line that inboxes show after the subject, hidden in the mail itself."""

from html import escape
from typing import Final

from tasks.rendering.html.markup import tokens
from tasks.rendering.plain_text.elements import IN_HEAD

SHOWN_CHARACTERS: Final = 150
"""No inbox shows more; what a preheader leaves of them would be filled from the body."""

# References, not characters: in quoted-printable they are the shorter form. U+034F keeps the
# spaces from being collapsed, U+200C from being trimmed.
_PADDING: Final = "&#847;&zwnj;&nbsp;"
_START: Final = (
    '<div style="display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;'
    'overflow:hidden;mso-hide:all;">'
)


def with_preheader(html: str, preheader: str) -> str:
    """Return a page that begins with a preheader, in its body."""
    if not preheader:
        return html
    place = _start_of_body(html)
    padding = _PADDING * max(0, SHOWN_CHARACTERS - len(preheader))
    block = f"{_START}{escape(preheader)}{padding}</div>"
    return f"{html[:place]}{block}{html[place:]}"


def _start_of_body(html: str) -> int:
    """Return the place after ``<body>``, or the start of a body without that tag."""
    place = 0
    for token in tokens(html):
        if token.sort == "start":
            if token.name == "body":
                return token.end
            if token.name in {"html", "head"}:
                place = token.end
            elif token.name not in IN_HEAD:
                return place
        elif token.name == "head" or html[token.start : token.end][:9].lower() == "<!doctype":
            place = token.end
    return place
