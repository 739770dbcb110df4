"""What an expression gives, as far as its syntax says: a text, a number or a boolean."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from tasks.rendering.paths import Path
from tasks.rendering.syntax import nodes

Kind = Literal["boolean", "number", "text"]

_NUMBER_FILTERS: Final = frozenset({"abs", "count", "float", "int", "length", "round"})
_TEXT_FILTERS: Final = frozenset(
    {
        *("capitalize", "currency", "date", "datetime", "e", "escape", "filesizeformat", "format"),
        *("indent", "join", "list", "lower", "number", "percent", "plural", "pluralize", "replace"),
        *("string", "striptags", "time", "title", "tojson", "trim", "truncate", "upper"),
        *("urlencode", "wordwrap"),
    }
)
_NUMBERS_OF_A_LOOP: Final = frozenset(
    {"depth", "depth0", "index", "index0", "length", "revindex", "revindex0"}
)
_BY_TYPE: Final[dict[str, Kind]] = {
    **dict.fromkeys(("date", "datetime", "email", "markdown", "string", "url"), "text"),
    "boolean": "boolean",
    **dict.fromkeys(("decimal", "integer", "number"), "number"),
}


def kind_of(node: nodes.Node) -> Kind | None:  # noqa: PLR0911 - one for each kind of node
    """Return the kind of an expression's value, or None where its syntax does not say."""
    match node:
        case nodes.Literal(value=str()):
            return "text"
        case nodes.Literal(value=bool()):
            return "boolean"
        case nodes.Literal(value=int() | float()):
            return "number"
        case nodes.Filter() if node.name in _NUMBER_FILTERS:
            return "number"
        # The filter "list" is one of the locale's, which writes a text.
        case nodes.Filter() if node.name in _TEXT_FILTERS:
            return "text"
        case nodes.Member() if is_of_loop(node):
            return "number"
        case nodes.Unary(operator="-"):
            return "number"
        case nodes.Binary():
            return "text" if node.operator == "~" else None
    return None


def is_of_loop(node: nodes.Node) -> bool:
    """Tell whether an expression is a number that a loop counts, such as ``loop.index``."""
    match node:
        case nodes.Member(of=nodes.Name(name="loop")):
            return node.name in _NUMBERS_OF_A_LOOP
    return False


def kind_of_type(name: str) -> Kind | None:
    """Return the kind of the values of a type of variable."""
    return _BY_TYPE.get(name)


def mixed_comparisons(
    comparisons: Iterable[tuple[int, Sequence[tuple[Path | None, Kind | None]]]],
    kinds: Mapping[Path, Kind],
) -> list[tuple[int, frozenset[Kind]]]:
    """Return the places of comparisons of values of two kinds, and the kinds.

    ``kinds`` are those of the variables.
    """
    mixed = []
    for place, sides in comparisons:
        found = frozenset(kind or kinds.get(path or ()) for path, kind in sides)
        known = frozenset(kind for kind in found if kind is not None)
        if len(known) > 1:
            mixed.append((place, known))
    return mixed
