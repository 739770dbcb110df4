"""The marks of line breaks and links in a rendered text alternative, and what they become.

Marks are controls that no page holds. Only once the text is rendered is it known whether a link's
label is empty and which breaks meet.
"""

import re
from functools import lru_cache
from typing import Final

# None of the marks is whitespace to str.split(), as U+001C to U+001F are.
LIST: Final = "\x0e"
LIST_END: Final = "\x0f"
PARAGRAPH: Final = "\x10"
LINE: Final = "\x11"
BREAK: Final = "\x12"
ITEM: Final = "\x13"
ITEM_END: Final = "\x14"
LINK: Final = "\x15"  # the address follows
LABEL: Final = "\x16"
LINK_END: Final = "\x17"
BREAKS: Final = f"{PARAGRAPH}{LINE}{BREAK}{ITEM}{ITEM_END}"
_LINK_MARKS: Final = f"{LINK}{LABEL}{LINK_END}"

_LISTS = re.compile(f"[{LIST}{LIST_END}]")
_LINKS = re.compile(f"{LINK}([^{_LINK_MARKS}]*+){LABEL}([^{_LINK_MARKS}]*+){LINK_END}?")
_WITHOUT_LINK_MARKS = dict.fromkeys(map(ord, _LINK_MARKS))
_EDGE = f"{BREAKS} "
_RUN = re.compile(f"([{BREAKS}](?: ?[{BREAKS}])* ?)")
_UNSHOWN = frozenset({"mailto", "tel"})

# What str.split() takes for whitespace, but for the space.
_WHITESPACE: Final = b"\t\n\v\f\r\x1c\x1d\x1e\x1f"


def finished(text: str) -> str:
    r"""Return a rendered text alternative as it is sent.

    Whitespace in lines is one space, lines end in ``\n``, at most one line in a row is empty, and
    no whitespace stands at either end.
    """
    text = _in_one_space(text)
    if LIST in text or LIST_END in text:
        text = _with_paragraphs_of_lists(text)
    if LINK in text:
        text = _LINKS.sub(_link, text)
    if LINK in text or LABEL in text or LINK_END in text:
        # Of tags that are not closed, or not opened, or from a value.
        text = text.translate(_WITHOUT_LINK_MARKS)
    if "  " in text:
        text = " ".join(text.split())
    pieces = _RUN.split(text)
    pieces[1::2] = [_newlines(run) for run in pieces[1::2]]
    return "".join(pieces).replace(" \n", "\n").strip()


def _with_paragraphs_of_lists(text: str) -> str:
    """Return ``text`` with the outermost lists as paragraphs, and those in lists on own lines."""
    depth = 0

    def break_(match: re.Match[str]) -> str:
        nonlocal depth
        depth = max(0, depth + (1 if match[0] == LIST else -1))
        return PARAGRAPH if depth == (match[0] == LIST) else LINE

    return _LISTS.sub(break_, text)


def _in_one_space(text: str) -> str:
    """Return ``text`` with one space in the place of each run of whitespace.

    Most texts are so already, which is seen in a tenth of the time.
    """
    if text.isascii() and "  " not in text:
        raw = text.encode()
        if len(raw.translate(None, _WHITESPACE)) == len(raw):
            return text
    return " ".join(text.split())


def _link(match: re.Match[str]) -> str:
    label = match[2]
    address = match[1].strip()
    scheme, colon, rest = address.partition(":")
    scheme = scheme.lower() if colon else ""
    if not address or address[0] == "#" or scheme == "javascript":
        return label  # the address leads nowhere from a text
    shown = rest if scheme in _UNSHOWN else address
    text = label.strip(_EDGE)
    if text and text not in {address, shown}:
        shown = f"{text} ({shown})"
    shown_link = label.replace(text, shown, 1) if text else label + shown
    # Links of a menu often touch.
    return f"{shown_link} " if match.string.startswith(LINK, match.end()) else shown_link


@lru_cache(maxsize=256)
def _newlines(run: str) -> str:
    """Collapse adjacent line breaks."""
    item = ""
    if ITEM in run:
        before, _, after = run.rpartition(ITEM)
        if ITEM_END not in after:
            # What an item begins with, a paragraph say, begins after its dash.
            run = before
            item = "- "
    # A line break is an empty line unless it is what ends the line.
    if PARAGRAPH in run or run.rfind(BREAK) > 0:
        return f"\n\n{item}"
    return f"\n{item}"
