"""HTML elements in plain text: their marks, and whether they are shown."""

import re
from collections.abc import Mapping
from typing import Final

from tasks.rendering.html.markup import BLOCK, PRINT
from tasks.rendering.plain_text.marks import (
    BREAK,
    BREAKS,
    ITEM,
    ITEM_END,
    LABEL,
    LINE,
    LINK,
    LINK_END,
    LIST,
    LIST_END,
    PARAGRAPH,
    PARAMETERS_END,
    PRE_END,
    QUOTE,
    QUOTE_END,
    STRIKE,
    STRIKE_END,
    VALUE,
)

_PARAGRAPHS = "dl figure h1 h2 h3 h4 h5 h6 p pre table"
_LINES = (
    "address article aside body caption center dd details dir div dt fieldset figcaption footer "
    "form header html legend main menu nav option section summary tbody tfoot thead tr"
)
START_MARKS: Mapping[str, str] = {
    **dict.fromkeys(_PARAGRAPHS.split(), PARAGRAPH),
    **dict.fromkeys(_LINES.split(), LINE),
    "td": " ",
    "th": " ",
}
END_MARKS: Mapping[str, str] = {**START_MARKS, "li": ITEM_END}
_STRUCK = ("del", "s", "strike")
# Elements whose marks count: two of them in a row are not merged into one.
COUNTED_START: Mapping[str, str] = {
    "br": BREAK,
    "hr": f"{PARAGRAPH}---{PARAGRAPH}",
    "blockquote": f"{PARAGRAPH}{QUOTE}",
    "q": '"',
    **dict.fromkeys(_STRUCK, STRIKE),
}
COUNTED_END: Mapping[str, str] = {
    "a": LINK_END,
    "blockquote": f"{QUOTE_END}{PARAGRAPH}",
    "ol": LIST_END,
    "q": '"',
    "ul": LIST_END,
    **dict.fromkeys(_STRUCK, STRIKE_END),
}
# As digits that keep their meaning: 10² is not 102.
_SCRIPTS: Final[Mapping[str, Mapping[int, int]]] = {
    "sup": str.maketrans("0123456789+-\u2212=()nikmtxy", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱᵏᵐᵗˣʸ"),
    "sub": str.maketrans("0123456789+-\u2212=()nijkmtx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₙᵢⱼₖₘₜₓ"),
}
_CALCULATED: Final = re.compile(r"[\d+*/=,\u2212\u00b7\u00d7-]")
_ORDINAL: Final = re.compile(r"[\d.]+(?:st|nd|rd|th|er?)?")
# Of a note: "*", "[1]", "(c)".
_MARK = re.compile(r"[^\w\x1a\x1b]+|\[[^\[\]]*\]|\([^()]*\)")
CELLS: Final = frozenset({"td", "th"})
ABOVE_A_SPACE = (" ", LIST_END, PARAMETERS_END, QUOTE, QUOTE_END, PRE_END, *BREAKS)
SHOWN_ATTRIBUTES: Mapping[str, tuple[str, Mapping[str, tuple[str, str]], str]] = {
    "a": ("", {"href": (LINK, LABEL)}, ""),
    "img": ("", {"alt": (" ", " ")}, ""),
    "li": (f"{LINE}{ITEM}", {"value": (VALUE, PARAMETERS_END)}, ""),
    "ol": (LIST, {"type": ("t", ";"), "start": ("s", ";"), "reversed": ("r", ";")}, PARAMETERS_END),
    "ul": (f"{LIST}u;", {}, PARAMETERS_END),
}
"""Of an element: the mark before, and the attributes that are shown, each between two marks."""

SHOWN_RAW = frozenset({"textarea", "xmp"})
HIDDEN = frozenset({"head", "svg", "template"})
# HTML standard, section 13.2.6.4.4: any other element ends a head that was left open.
IN_HEAD = frozenset(
    {
        "base",
        "basefont",
        "bgsound",
        "head",
        "link",
        "meta",
        "noframes",
        "noscript",
        "script",
        "style",
        "template",
        "title",
    }
)
VOID = frozenset(
    {
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    }
)


def raised_text(text: str, element: str) -> str | None:
    """Return the text of a superscript or subscript, if it has the characters; words have not."""
    raised = text.translate(_SCRIPTS[element])
    is_word = len(text) > 1 and text.isalpha()
    return None if is_word or set(raised) & set(text) else raised


def is_calculated(text: str) -> bool:
    """Return whether a superscript or subscript is more than a word, an ordinal or one value."""
    if "<" in text or BLOCK in text or text == PRINT or _ORDINAL.fullmatch(text):
        return False
    if _MARK.fullmatch(text):
        return False
    return _CALCULATED.search(text) is not None
