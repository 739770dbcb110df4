"""Kind of an expression's value, from its syntax or the type of its variable."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from tasks.rendering.filters.text_filters import TEXT_FILTERS
from tasks.rendering.locale_filters import FILTERS
from tasks.rendering.paths import Path
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import Block, Part, Print, tree
from tasks.rendering.syntax.walk import printed, true_part
from tasks.rendering.usage.scopes import DEFAULTS, printed_nodes

Kind = Literal["array", "boolean", "number", "object", "text"]
"""Of a variable; an expression's syntax says a boolean, a number or a text."""

_NUMBER_FILTERS: Final = frozenset({"abs", "count", "float", "int", "length", "round"})
_GIVING_TEXT: Final = (
    TEXT_FILTERS | frozenset(FILTERS) | {"e", "escape", "join", "pluralize", "tojson", "urlencode"}
)
_NUMBERS_OF_A_LOOP: Final = frozenset(
    {"depth", "depth0", "index", "index0", "length", "revindex", "revindex0"}
)
_KEEPING_ITEMS: Final = frozenset({"reverse", "sort", "unique"})
_PAIR: Final = (
    "a pair has no text: name its parts, as in {% for key, value in object | items %}, and print "
    "one"
)
_WITHOUT_WORD: Final = (
    'a default that is printed is a text: write the word for readers, as in default("no"), or '
    'default("") for none'
)
_WITHOUT_TEXT: Final = {
    "cycler": "cycler() has no text: write {% set row = cycler(['odd', 'even']) %} before the "
    "loop, and {{ row.next() }} in it",
    "joiner": "joiner() has no text: write {% set comma = joiner(', ') %} before the loop, and "
    "{{ comma() }} in it",
}
"""What to write for functions whose objects show no mark of a list or of a text in quotes."""

_BY_TYPE: Final[dict[str, Kind]] = {
    "array": "array",
    "object": "object",
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
        case nodes.Filter() if node.name in _GIVING_TEXT:
            return "text"
        case nodes.Member() if is_of_loop(node):
            return "number"
        case nodes.Unary(operator="-"):
            return "number"
        case nodes.Binary():
            return "text" if node.operator == "~" else None
    return None


def is_boolean(node: nodes.Node) -> bool:
    """Return whether an expression gives true or false, at least in some renders."""
    pending = [node]
    while pending:
        node = pending.pop()
        match node:
            case nodes.Literal(value=bool()) | nodes.Comparison() | nodes.Test():
                return True
            case nodes.Unary(operator="not") | nodes.Filter(name="bool"):
                return True
            case nodes.Binary(operator="and" | "or"):
                left = true_part(node.left) if node.operator == "or" else node.left
                pending += (left, node.right)
            case nodes.Condition():
                pending += (node.then,) if node.other is None else (node.then, node.other)
    return False


def printed_booleans(source: str) -> list[nodes.Node]:
    """Return the expressions of prints that would print true or false."""
    return [each for each in printed(tree(source) or ()) if is_boolean(each)]


def printed_without_text(source: str) -> list[tuple[nodes.Node, str]]:
    """Return the expressions of prints that would print a pair or an object of the engine, and why.

    Values that are recognized in the output, by the marks of a list or quotes, are left out here.
    """
    return list(_without_text(tree(source) or (), frozenset()))


def _without_text(parts: Iterable[Part], pairs: frozenset[str]) -> Iterator[tuple[nodes.Node, str]]:
    """Yield them; ``pairs`` are the variables of loops that go through pairs."""
    for part in parts:
        if isinstance(part, Print):
            for node in (*printed_nodes(part.value), *_default(part.value)):
                message = _PAIR if _is_pair(node, pairs) else _said(node)
                if message:
                    yield node, message
            for node in _default(part.value):
                if isinstance(node, nodes.Literal) and isinstance(node.value, bool | None):
                    yield node, _WITHOUT_WORD
        elif isinstance(part, Block):
            own = {target.name for target in part.targets} if part.word == "for" else set()
            is_of_pairs = len(own) == 1 and _gives_pairs(part.values[0])
            inner = (pairs | own) if is_of_pairs else (pairs - own)
            for branch in part.branches:
                yield from _without_text(branch.inside, inner)


def _default(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield what is printed for a missing value."""
    if isinstance(node, nodes.Filter) and node.name in DEFAULTS and node.arguments:
        yield node.arguments[0].value


def _said(node: nodes.Node) -> str:
    match node:
        case nodes.Call(of=nodes.Name(name=name)):
            return _WITHOUT_TEXT.get(name, "")
        case nodes.Collection():
            return "a list or an object has no text: print one of its items, or use join or tojson"
    return ""


def _is_pair(node: nodes.Node, pairs: frozenset[str]) -> bool:
    match node:
        case nodes.Name():
            return node.name in pairs
        case nodes.Filter(name="first" | "last", of=nodes.Node()):
            return node.of is not None and _gives_pairs(node.of)
        case nodes.Index(is_slice=False):
            return _gives_pairs(node.of)
    return False


def _gives_pairs(node: nodes.Node) -> bool:
    while isinstance(node, nodes.Filter) and node.name in _KEEPING_ITEMS and node.of is not None:
        node = node.of
    match node:
        case nodes.Filter(name="dictsort" | "items" | "zip"):
            return True
        case nodes.Call(of=nodes.Member(name="items")):
            return True
    return False


def is_of_loop(node: nodes.Node) -> bool:
    """Return whether an expression is a number that a loop counts, such as ``loop.index``."""
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

    ``kinds`` are the variables' kinds.
    """
    mixed = []
    for place, sides in comparisons:
        found = frozenset(kind or kinds.get(path or ()) for path, kind in sides)
        known = frozenset(kind for kind in found if kind is not None)
        if len(known) > 1:
            mixed.append((place, known))
    return mixed


def misplaced_structures(
    calculations: Iterable[tuple[int, str, Sequence[tuple[Path | None, Kind | None]]]],
    kinds: Mapping[Path, Kind],
) -> list[tuple[int, str, Kind]]:
    """Return the places of arithmetic with arrays or objects, with the operator and the kind.

    An array may be joined by ``+`` with another.
    """
    found: list[tuple[int, str, Kind]] = []
    for place, operator, sides in calculations:
        each = [kind or kinds.get(path or ()) for path, kind in sides]
        if "object" in each:
            found.append((place, operator, "object"))
        elif "array" in each and (operator != "+" or not {None, "array"}.issuperset(each)):
            found.append((place, operator, "array"))
    return found
