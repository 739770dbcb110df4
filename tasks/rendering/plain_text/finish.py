"""Finishes a rendered text alternative: marks become line breaks, lists, quotes and links."""

import re
from functools import lru_cache
from typing import Final

from tasks.rendering.plain_text.layout import laid_out
from tasks.rendering.plain_text.marks import (
    BREAK,
    BREAKS,
    HARD_LINE,
    HARD_SPACE,
    LABEL,
    LINE,
    LINK,
    LINK_END,
    PARAGRAPH,
    PARAMETERS_END,
    PRE,
    PRE_END,
    STRIKE,
    STRIKE_END,
    STRUCTURE,
    VALUE,
    WITH_PARAMETERS,
)

_LINK_MARKS: Final = f"{LINK}{LABEL}{LINK_END}"
_LINKS = re.compile(f"{LINK}([^{_LINK_MARKS}]*+){LABEL}([^{_LINK_MARKS}]*+){LINK_END}?")
_STRUCK = re.compile(f"{STRIKE}([^{STRIKE}{STRIKE_END}]*+){STRIKE_END}")
_PREFORMATTED = re.compile(f"{PRE}([^{PRE}{PRE_END}]*+){PRE_END}")
_LEFT = re.compile(f"[{_LINK_MARKS}{STRIKE}{STRIKE_END}{PRE}{PRE_END}]")
_STRAY = re.compile(f"({WITH_PARAMETERS})|[{VALUE}{PARAMETERS_END}]")
_RARE = re.compile(
    f"[{STRUCTURE}{STRIKE}{STRIKE_END}{PRE}{PRE_END}{VALUE}{PARAMETERS_END}{HARD_SPACE}]"
)
_EDGE = f"{BREAKS} "
_RUN = re.compile(f"([{BREAKS}](?: ?[{BREAKS}])* ?)")
_WITHOUT_HARD = dict.fromkeys(map(ord, f"{HARD_LINE}{HARD_SPACE}"))
# Where a line may break, and what keeps mail programs from making links of numbers: not for readers
# of a text. Between letters of other scripts a non-joiner is spelling.
_UNSEEN = re.compile(
    "\u00ad|(?<=[!-~])[\u200b\u200c]+(?=[ -~])"
    "|(?<![^\x00-\x20\xa0])[\u034f\u200b-\u200d\u2060\ufeff]+(?![^\x00-\x20\xa0])"
)
_UNSEEN_CHARACTERS: Final = "\u00ad\u034f\u200b\u200c\u200d\u2060\ufeff"
_RULE = re.compile(r"^---$", re.MULTILINE)
_UNWRITTEN: Final = re.compile(r"[ <>]")
"""What would end an address in a text; browsers encode it."""

_UNSHOWN = frozenset({"mailto", "tel"})
_WITH_REST = frozenset({"http", "https", "mailto", "sms", "tel"})
_SCRIPTS = frozenset({"javascript", "vbscript", "data"})
_BESIDE_A_MARK = re.compile(rf"(?<=[{BREAKS}{STRUCTURE}])\s+|\s+(?=[{BREAKS}{STRUCTURE}])")

# Bytes of UTF-8 of texts without a rare mark, an unseen character or whitespace but the space. Left
# out are the bytes that begin U+0080 to U+00BF, U+0340 to U+037F, U+1000 to U+3FFF and U+F000 to
# U+FFFF, where some of these characters are.
_COMMON: Final = bytes(
    ({*range(0x20, 0x7F), *range(0x80, 0x100)} - {0xC2, 0xCD, 0xE1, 0xE2, 0xE3, 0xEF})
    | {*f"{PARAGRAPH}{LINE}{BREAK}{_LINK_MARKS}".encode()}
)


def finished(text: str, *, keeps_space: bool = False) -> str:
    r"""Return a rendered text alternative as it is sent.

    Whitespace in lines is one space, lines end in ``\n``, at most one line in a row is empty, and
    no whitespace is at either end. With ``keeps_space`` the text is one that its author laid
    out, with the text of partials in it: its own whitespace stays.
    """
    if keeps_space:
        return _with_structure(text, keeps_space=True)
    # Most texts are common, which is seen in a fifth of the time of what follows.
    if text.encode().translate(None, _COMMON):
        # Few texts have one, and the pattern takes longer than a render.
        if any(character in text for character in _UNSEEN_CHARACTERS):
            text = _UNSEEN.sub("", text)
        if _RARE.search(text) is not None:
            return _with_structure(text, keeps_space=False)
        text = " ".join(text.split())
    if LINK in text:
        text = _LINKS.sub(_link, text)
    if LINK in text or LABEL in text or LINK_END in text:
        # Of tags that are not closed, or not opened, or from a value.
        text = _LEFT.sub("", text)
    if "  " in text:
        text = " ".join(text.split())
    pieces = _RUN.split(text)
    pieces[1::2] = [_newlines(run) for run in pieces[1::2]]
    return "".join(pieces).replace(" \n", "\n").strip()


def without_rules(text: str) -> str:
    """Return a text without lines across the page, which one line of text has no room for."""
    return _RULE.sub(" ", text)


def _with_structure(text: str, *, keeps_space: bool) -> str:
    """Return a text with lists, quotes or preformatted lines, or one that keeps its own."""
    # Hard breaks and spaces of a value: text derived from HTML has none yet.
    text = text.translate(_WITHOUT_HARD)
    if VALUE in text or PARAMETERS_END in text:
        text = _STRAY.sub(r"\1", text)
    if PRE in text:
        text = _PREFORMATTED.sub(_preformatted, text)
    if keeps_space:
        text = _BESIDE_A_MARK.sub(_as_mark, text).replace("\n", HARD_LINE)
    else:
        text = " ".join(text.split())
    if STRIKE in text:
        text = _STRUCK.sub(_struck, text)
    if LINK in text:
        text = _LINKS.sub(_link, text)
    return laid_out(_LEFT.sub("", text), collapses=not keeps_space).strip()


def _preformatted(match: re.Match[str]) -> str:
    text = match[1].removeprefix("\r").removeprefix("\n").rstrip()
    lines = text.expandtabs().replace("\r\n", "\n").replace("\r", "\n")
    return lines.replace(" ", HARD_SPACE).replace("\n", HARD_LINE)


def _as_mark(match: re.Match[str]) -> str:
    breaks = match[0].count("\n")
    return PARAGRAPH if breaks > 1 else LINE if breaks else match[0]


def _struck(match: re.Match[str]) -> str:
    label = match[1]
    text = label.strip(_EDGE)
    if not text:
        return label
    struck = label.replace(text, f"~~{text}~~", 1)
    # What takes the place of a struck word often touches it.
    following = match.string[match.end() : match.end() + 1]
    return f"{struck} " if following.isalnum() or following in {STRIKE, LINK} else struck


def _encoded(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


def _link(match: re.Match[str]) -> str:
    label = match[2]
    address = match[1].strip()
    scheme, colon, rest = address.partition(":")
    scheme = scheme.lower() if colon else ""
    leads_nowhere = scheme in _SCRIPTS or (scheme in _WITH_REST and not rest.strip("/ "))
    # Links of a menu often touch.
    space = " " if match.string.startswith(LINK, match.end()) else ""
    if not address or address[0] == "#" or leads_nowhere:
        return f"{label}{space}"  # the address leads nowhere from a text
    # The subject and text that a mail would have are not part of its address.
    written = address
    address = _UNWRITTEN.sub(_encoded, address)
    shown = rest.partition("?")[0] if scheme in _UNSHOWN else address
    text = label.strip(_EDGE)
    if text and text.rstrip("/") not in {written.rstrip("/"), address.rstrip("/"), shown}:
        # RFC 3986, appendix C: what reads an address from a text takes it up to the bracket.
        shown = f"{text} <{shown}>"
    elif not text:
        shown = f"<{shown}>"
    return f"{label.replace(text, shown, 1) if text else label + shown}{space}"


@lru_cache(maxsize=256)
def _newlines(run: str) -> str:
    """Collapse adjacent line breaks."""
    # A line break is an empty line unless it is what ends the line.
    return "\n\n" if PARAGRAPH in run or run.rfind(BREAK) > 0 else "\n"
