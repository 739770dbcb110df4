"""Invented values of styles: what may be at the place of a print in a declaration. Pure.

Only previews and trial renders ask, so that a render pays nothing.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from tasks.rendering.html.markup import PRINT
from tasks.rendering.html.masks import flat

WHOLE: Final = "inherit"
"""What every property may be, but only as a whole."""

_LENGTH: Final = "16px"
_DECLARATION: Final = re.compile(r"""[;{}<>\x1b]|style\s*=\s*["']?""", re.IGNORECASE)
_END: Final = re.compile(r"""[;{}<>"\x1b]""")
_OPEN: Final = re.compile(r"([\w-]*)\(([^()]*)\Z")
_STOP: Final = re.compile(r"-gradient\Z")

_BY_FUNCTION: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys(("rgb", "rgba"), ("128", "128", "128", "1")),
    **dict.fromkeys(("hsl", "hsla", "hwb"), ("120", "50%", "50%", "1")),
    **dict.fromkeys(("rotate", "rotatex", "rotatey", "rotatez", "hue-rotate"), ("16deg",)),
    **dict.fromkeys(("skew", "skewx", "skewy"), ("16deg",)),
    **dict.fromkeys(("matrix", "opacity", "brightness", "contrast", "saturate", "sepia"), ("1",)),
    **dict.fromkeys(("scale", "scalex", "scaley", "grayscale", "invert", "cubic-bezier"), ("1",)),
    "repeat": ("2", _LENGTH),
    "steps": ("2",),
    "var": ("--text", _LENGTH),
    "attr": ("title",),
}
"""By the functions whose arguments are not lengths: a value of each argument; the last for more."""

_LINE: Final = r"none|hidden|solid|dashed|dotted|double|groove|ridge|inset|outset"
_SIZE: Final = (
    r"(?<![\w#.-])-?[\d.]+(?:px|em|rem|pt|ex|%|vw|vh)?(?![\w.])|\b(?:thin|medium|thick)\b"
)
_COLOUR: Final = (
    r"#[\da-f]{3,8}\b|\b(?:rgb|hsl)a?\b|\b(?:black|white|red|green|blue|gr[ae]y|silver|navy|"
    r"transparent|currentcolor|orange|yellow|purple|pink|brown|maroon|teal|olive)\b"
)
_TIME: Final = r"\b[\d.]+m?s\b"
_BORDER: Final = ((_SIZE, "1px"), (_LINE, "solid"), (_COLOUR, "gray"))
_PARTS: Final[Sequence[tuple[str, Sequence[tuple[str, str]]]]] = (
    (r"(?:border(?:-\w+)*|outline|column-rule)", _BORDER),
    (r"font", ((_SIZE, _LENGTH), (r"\Z.", "sans-serif"))),
    (r"font-family", ((r"\Z.", "sans-serif"),)),
    (r"background", ((_COLOUR, "gray"), (r"\bno-repeat\b|\brepeat", "repeat"), (r"\Z.", "0"))),
    (r"text-decoration", ((r"underline|line-through", "underline"), (_COLOUR, "gray"))),
    (r"transition", ((r"\ball\b|[a-z]-[a-z]|\bcolor\b", "all"), (_TIME, "1s"), (r"ease", "ease"))),
    (r"animation", ((_TIME, "1s"), (r"ease|linear", "ease"))),
    (r"list-style", ((r"disc|square|circle|decimal", "disc"), (r"inside|outside", "inside"))),
    (r"flex|aspect-ratio|order|z-index|font-weight|orphans|widows", ((r"\Z.", "1"),)),
)
"""By property: its parts as they are written, each with an invented one."""


def sample_at(source: str, place: int) -> str:
    """Return a value for the print at a place of a source, in a declaration or an attribute."""
    mask = flat(source)
    before = _DECLARATION.split(mask[:place])[-1]
    name, colon, before = before.partition(":") if ":" in before else ("", "", before)
    after = _END.split(mask[place:].lstrip(PRINT), maxsplit=1)[0]
    function = _OPEN.search(before)
    if colon and function is None:
        return _of_property(name.strip().lower(), before, after)
    return _of_function(function[1].lower(), function[2]) if function else WHOLE


def _of_function(name: str, before: str) -> str:
    arguments = re.split(r"[,/]", before)
    if _STOP.search(name):
        return "50%" if arguments[-1].strip() else "gray"
    values = _BY_FUNCTION.get(name, (_LENGTH,))
    index = len(before.split()) if len(arguments) == 1 and PRINT in before else len(arguments) - 1
    return values[min(index, len(values) - 1)]


def _of_property(name: str, before: str, after: str) -> str:
    after = re.split(r"""["']\s*(?:>|\w+=|/|\Z)""", after, maxsplit=1)[0]
    if not before.strip() and not after.strip():
        return WHOLE
    if name.endswith("-shadow"):
        return _of_shadow(before, after)
    parts = next((found for names, found in _PARTS if re.fullmatch(names, name)), ())
    if before.rstrip().endswith("/") or not parts:
        return _LENGTH
    others = f"{before} {after}"
    missing = [value for pattern, value in parts if not re.search(pattern, others, re.IGNORECASE)]
    number = len(re.findall(f"{PRINT}+", before))
    return missing[min(number, len(missing) - 1)] if missing else _LENGTH


def _of_shadow(before: str, after: str) -> str:
    lengths = before.rpartition(",")[2].split()
    is_last = not after.partition(",")[0].strip()
    return "gray" if is_last and len(lengths) > 1 else _LENGTH
