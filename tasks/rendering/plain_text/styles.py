"""Style rules for whether and how text is shown: pure, no I/O.

Only what hides text in every mail client counts, and what keeps lines. Media queries do not: they
are for some screens.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from tasks.rendering.html.markup import BLOCK, PRINT
from tasks.rendering.plain_text.marks import PRE, PRE_END, STRIKE, STRIKE_END
from tasks.rendering.plain_text.selectors import Element, Selector, selector

MAY_STYLE: Final = re.compile(
    r"display|hidden|visibility|opacity|mso-hide|font|(?:max-)?(?:height|width)|white-space|list-"
    r"|text-decoration|text-indent|vertical-align|position\s*:\s*(?:absolute|fixed)|clip(?:-path)?\s*:",
    re.IGNORECASE,
)
_SAYS_MORE: Final = re.compile(
    r"(?<![\w-])(?:display|visibility|opacity|mso-hide|max-height|font(?:-size)?|white-space"
    r"|list-style(?:-type)?|text-decoration(?:-line)?|vertical-align)\s*:",
    re.IGNORECASE,
)
_CLIPS: Final = re.compile(r"(?<![\w-])(?:height|(?:max-)?width|overflow)\s*:", re.IGNORECASE)
_ZERO: Final = re.compile(r"[-+]?0*\.?0*(?:px|em|rem|pt|ex|ch|in|cm|mm|pc|vh|vw|%)?\s*")
_FAR: Final = re.compile(
    r"-(?:\d{4,}(?:\.\d*)?(?:px|pt)|999(?:px|pt)|\d{3,}(?:\.\d*)?(?:em|rem|vw|vh|%))"
)
"""A distance that leads out of any page."""

_CLIPPED: Final = re.compile(
    r"rect\((?:(?:0|1)(?:px|em|%)?[\s,]*){4}\)|inset\((?:50|100)%(?:\s+(?:50|100)%)*\)|circle\(0(?:px|%)?\)"
)
_SMALL_FONT: Final = re.compile(r"(?:^|\s)0*\.?0+(?:px|em|pt|%)?(?:\s|/)")
_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
_RULE: Final = re.compile(r"([^{}]*)\{([^{}]*)\}")
_NESTED: Final = re.compile(r"@[^{};]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_LINES: Final = frozenset({"pre", "pre-wrap", "pre-line", "break-spaces"})
RAISED: Final[Mapping[str, str]] = {"super": "sup", "sup": "sup", "sub": "sub"}
"""Values of vertical-align and elements that raise or lower text, with the elements that do it."""

_SCOPE_MARKS: Final = {
    "pre": (PRE, PRE_END),
    "struck": (STRIKE, STRIKE_END),
    # Not a line: many cells of a row have one such element each.
    "block": (" ", " "),
}
_INLINE: Final = frozenset({"a", "b", "em", "font", "i", "label", "small", "span", "strong", "u"})
_BLOCKS: Final = frozenset({"block", "flex", "grid", "list-item", "table"})
_NUMBERING: Final = {
    "lower-alpha": "a",
    "lower-latin": "a",
    "upper-alpha": "A",
    "upper-latin": "A",
    "lower-roman": "i",
    "upper-roman": "I",
}


class Scope(NamedTuple):
    """An element that hides its text, shows it, keeps its lines, strikes it or sets it apart.

    ``depth`` counts the elements of its name that are open, itself among them.
    """

    name: str
    depth: int
    sort: Literal["size", "visibility", "shown", "pre", "struck", "block"]

    @property
    def opening(self) -> str:
        """The mark at its beginning."""
        return _SCOPE_MARKS[self.sort][0] if self.sort in _SCOPE_MARKS else ""

    @property
    def closing(self) -> str:
        """The mark at its end."""
        return _SCOPE_MARKS[self.sort][1] if self.sort in _SCOPE_MARKS else ""


@dataclass(frozen=True, slots=True)
class Style:
    """Style of an element from its attributes and class, by the names of CSS properties."""

    properties: Mapping[str, str] = field(default_factory=dict)
    hides: bool = False

    def list_parameters(self, element: str) -> str:
        """Return the parameters of a list's mark that its style gives."""
        if element not in {"ol", "ul"}:
            return ""
        kind = self.properties.get("list-style-type") or self.properties.get("list-style", "")
        words = kind.split()
        if "none" in words:
            return "n;"
        return next((f"t{_NUMBERING[word]};" for word in words if word in _NUMBERING), "")


PLAIN: Final = Style()


class _Declared(NamedTuple):
    value: str
    is_important: bool


class StyleSheet:
    """The rules of the style sheets that were read so far, those without pseudo-classes.

    ``selects`` are the selectors of rules that change what a text shows.
    """

    def __init__(self) -> None:
        self._rules: list[tuple[Selector, dict[str, _Declared]]] = []
        self.selects: list[Selector] = []

    def __bool__(self) -> bool:
        """Return whether there is a rule."""
        return bool(self._rules)

    def read(self, css: str) -> None:
        """Read the rules of a style sheet that concern what is shown."""
        if MAY_STYLE.search(css) is None:
            return
        text = _NESTED.sub("", _COMMENT.sub("", css))
        for match in _RULE.finditer(text):
            if BLOCK in match[0] or PRINT in match[0] or MAY_STYLE.search(match[2]) is None:
                continue
            properties = _declared(match[2])
            for text in match[1].split(","):
                if (parsed := selector(text)) is not None:
                    self._rules.append((parsed, properties))
                    if _changes_text(_values(properties)):
                        self.selects.append(parsed)
        # Stable: of equal specificity the last one counts.
        self._rules.sort(key=lambda rule: rule[0].specificity)

    def of(self, path: Sequence[Element]) -> dict[str, _Declared]:
        """Return the properties of the last element of a path from the root."""
        result: dict[str, _Declared] = {}
        for each, properties in self._rules:
            if each.matches(path):
                _cascade(result, properties)
        return result


def style_of(path: Sequence[Element], attributes: Mapping[str, str], sheet: StyleSheet) -> Style:
    """Return the style of the last element of a path from the root.

    ``attributes`` are the element's attributes that are the same in every render.
    """
    declared = sheet.of(path) if sheet else {}
    if "style" in attributes:
        _cascade(declared, _declared(attributes["style"]))
    properties = _values(declared)
    hidden = attributes.get("hidden")
    hides = hidden is not None or _hides(properties)
    return Style(properties, hides) if properties or hides else PLAIN


def scope_of(element: str, style: Style, scopes: tuple[Scope, ...]) -> Scope | None:
    """Return the scope that an element begins, if it does."""
    properties = style.properties
    if element in {"pre", "listing"} or properties.get("white-space") in _LINES:
        return Scope(element, 1, "pre")
    if not properties:
        return None
    sort: Literal["size", "visibility", "shown", "struck", "block"] | None = _sort(properties)
    if sort is None or (sort == "shown" and shows_text(scopes)):
        is_block = element in _INLINE and properties.get("display") in _BLOCKS
        sort = "struck" if _is_struck(properties) else "block" if is_block else None
    return None if sort is None else Scope(element, 1, sort)


def is_shown_itself(style: Style) -> bool:
    """Return whether an element is shown whatever it is in: cells of size 0 remove spaces."""
    return _sort(style.properties) == "shown"


def _sort(properties: Mapping[str, str]) -> Literal["size", "visibility", "shown"] | None:
    visibility = properties.get("visibility")
    if visibility is not None:
        return "visibility" if visibility in {"hidden", "collapse"} else "shown"
    size = properties.get("font-size")
    if size is not None:
        return "size" if _is_zero(size) else "shown"
    font = properties.get("font")
    if font is not None:
        return "size" if _SMALL_FONT.search(font) else "shown"
    return None


def shows_text(scopes: tuple[Scope, ...]) -> bool:
    """Return whether text is shown within scopes; the innermost that says something counts."""
    for scope in reversed(scopes):
        if scope.sort not in _SCOPE_MARKS:
            return scope.sort == "shown"
    return True


def deeper(scopes: tuple[Scope, ...], element: str) -> tuple[Scope, ...]:
    """Return scopes after the beginning of an element in them."""
    if not any(scope.name == element for scope in scopes):
        return scopes
    return tuple(
        scope._replace(depth=scope.depth + (scope.name == element and element != "p"))
        for scope in scopes
    )


def after_end(scopes: tuple[Scope, ...], element: str) -> tuple[tuple[Scope, ...], str]:
    """Return scopes after the end of an element, and the marks of the scopes that end with it."""
    left: list[Scope] = []
    for index, scope in enumerate(scopes):
        if scope.name == element:
            if scope.depth == 1:
                ended = scopes[index:]
                return tuple(left), "".join(each.closing for each in reversed(ended))
            left.append(scope._replace(depth=scope.depth - 1))
        else:
            left.append(scope)
    return tuple(left), ""


def _declared(css: str) -> dict[str, _Declared]:
    """Return the properties of a declaration block; the last of a name counts."""
    result: dict[str, _Declared] = {}
    for declaration in css.split(";"):
        name, colon, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip().lower()
        if not colon or PRINT in name:
            continue
        is_important = value.endswith("important") and "!" in value
        if is_important:
            value = value.rpartition("!")[0].strip()
        _cascade(result, {name: _Declared(value, is_important)})
    return result


def _cascade(result: dict[str, _Declared], later: Mapping[str, _Declared]) -> None:
    """Add later declarations, which count unless earlier ones are important."""
    for name, declared in later.items():
        if declared.is_important or name not in result or not result[name].is_important:
            result[name] = declared


def _values(declared: Mapping[str, _Declared]) -> dict[str, str]:
    return {name: each.value for name, each in declared.items()}


def _changes_text(properties: Mapping[str, str]) -> bool:
    """Return whether these properties change how a text shows an element."""
    return (
        _hides(properties)
        or _sort(properties) in {"size", "visibility"}
        or _is_struck(properties)
        or properties.get("white-space") in _LINES
        or properties.get("vertical-align") in RAISED
        or any(name.startswith("list-style") for name in properties)
    )


def may_change_text(css: str, whole: str) -> bool:
    """Return whether declarations that differ from render to render may change what is shown.

    ``whole`` is what they are in, with the others.
    """
    if _SAYS_MORE.search(css) is not None:
        return True
    return _CLIPS.search(css) is not None and "overflow" in whole.lower()


def _hides(properties: Mapping[str, str]) -> bool:
    if properties.get("display") == "none" or properties.get("mso-hide") == "all":
        return True
    if _is_zero(properties.get("opacity", "1")) or _is_zero(properties.get("max-height", "1")):
        return True
    if _is_far(properties.get("text-indent", "")) or _is_clipped(properties.get("clip-path", "")):
        return True
    if properties.get("position") in {"absolute", "fixed"} and (
        any(_is_far(properties.get(name, "")) for name in ("left", "top", "right", "bottom"))
        or _is_clipped(properties.get("clip", ""))
    ):
        return True
    clipped = properties.get("overflow") in {"hidden", "clip"}
    return clipped and any(
        _is_zero(properties.get(name, "1")) for name in ("height", "width", "max-width")
    )


def _is_far(value: str) -> bool:
    return _FAR.fullmatch(value) is not None


def _is_clipped(value: str) -> bool:
    return _CLIPPED.fullmatch(value) is not None


def _is_struck(properties: Mapping[str, str]) -> bool:
    decorations = (properties.get(name, "") for name in ("text-decoration", "text-decoration-line"))
    return any("line-through" in value.split() for value in decorations)


def _is_zero(value: str) -> bool:
    return any(map(str.isdigit, value)) and _ZERO.fullmatch(value) is not None
