"""Meaning of names where they are used, and values that conditions prove present."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

from tasks.rendering.filters.comparisons import COMPARES
from tasks.rendering.filters.text_filters import TEXT_FILTERS
from tasks.rendering.paths import Path, written
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.walk import true_part

DEFAULTS: Final = frozenset({"d", "default"})
ASKING: Final = frozenset({"defined", "none", "undefined"})
"""Tests that answer for a value that is missing."""

FUNCTIONS: Final = ("cycler", "dict", "joiner", "namespace", "range")
"""The functions of the engine; where one is not called, its name is a variable's."""

_ONE_OF: Final = " or "
"""First step of what is not a path, since no name has spaces."""
NOTHING: Final[frozenset[Path]] = frozenset()
# Their items are items of what they are given.
_OF_THE_SAME: Final = frozenset(
    {"list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"}
)


@dataclass(frozen=True, slots=True)
class Local:
    """A name that the source gives a value itself.

    ``path`` is the value's, where it is another name of one, whose uses are uses of that;
    ``if_true`` and ``if_false`` are the paths that have a value if the local is true or false.
    """

    path: Path | None = None
    if_true: frozenset[Path] = NOTHING
    if_false: frozenset[Path] = NOTHING


@dataclass(slots=True)
class Use:
    """A use of the value at ``path``.

    Attributes
    ----------
    path
        Names, and :data:`tasks.rendering.paths.ITEM` for the variable of a loop.
    place
        Where it is in its source, in characters.
    guarded
        Whether a missing value is not an error here: it is only asked about, or has a default.
    present
        The paths that surely have a value here.
    """

    path: Path
    place: int
    guarded: bool
    present: frozenset[Path]


OPAQUE: Final = Local()
Scope = dict[str, Local]


class Names:
    """The names of a source; ``own_names`` are the names that are not variables."""

    def __init__(self, own_names: frozenset[str]) -> None:
        self._own = own_names - frozenset(FUNCTIONS)

    def path(self, node: nodes.Node, scope: Scope) -> Path | None:
        """Return the path of a variable or a member of one, or None for any other expression."""
        steps: list[str] = []
        while isinstance(node, nodes.Member):
            steps.append(node.name)
            node = node.of
        if not isinstance(node, nodes.Name):
            return None
        if node.name in scope:
            base = scope[node.name].path
        else:
            base = None if node.name in self._own else (node.name,)
        return None if base is None else (*base, *reversed(steps))

    def if_true(  # noqa: PLR0911 - one for each kind of node
        self, node: nodes.Node, scope: Scope
    ) -> frozenset[Path]:
        """Return the paths that have a value where ``node`` is true."""
        path = self.path(node, scope)
        if path is not None:
            return frozenset({path})
        match node:
            case nodes.Name() if node.name in scope:
                return scope[node.name].if_true
            case nodes.Unary(operator="not"):
                return self.if_false(node.of, scope)
            case nodes.Binary(operator="and"):
                return self.if_true(node.left, scope) | self.if_true(node.right, scope)
            case nodes.Binary(operator="or"):
                one_of_them = self.alternatives(node, scope)
                return (self.if_true(node.left, scope) & self.if_true(node.right, scope)) | (
                    NOTHING if one_of_them is None else frozenset({one_of_them})
                )
            case nodes.Test() if node.name in ASKING:
                return self._asked(node, scope, is_there=(node.name == "defined") != node.negated)
            case nodes.Filter() | nodes.Comparison():
                return self._not_default(node, scope, result=False)
        return NOTHING

    def if_false(  # noqa: PLR0911 - one for each kind of node
        self, node: nodes.Node, scope: Scope
    ) -> frozenset[Path]:
        """Return the paths that have a value where ``node`` is false."""
        match node:
            case nodes.Name() if node.name in scope:
                return scope[node.name].if_false
            case nodes.Unary(operator="not"):
                return self.if_true(node.of, scope)
            case nodes.Binary(operator="and"):
                return self.if_false(node.left, scope) & self.if_false(node.right, scope)
            case nodes.Binary(operator="or"):
                return self.if_false(node.left, scope) | self.if_false(node.right, scope)
            case nodes.Test() if node.name in ASKING:
                return self._asked(node, scope, is_there=(node.name == "defined") == node.negated)
            case nodes.Filter() | nodes.Comparison():
                return self._not_default(node, scope, result=True)
        return NOTHING

    def is_function(self, node: nodes.Node, scope: Scope) -> bool:
        """Return whether a node is the name of a function of the engine."""
        return isinstance(node, nodes.Name) and node.name in FUNCTIONS and node.name not in scope

    def alternatives(self, node: nodes.Node, scope: Scope) -> Path | None:
        """Return the path that means "one of these has a value", for ``a or b``.

        None where an operand is not a path.
        """
        operands = [node]
        paths: set[str] = set()
        while operands:
            operand = operands.pop()
            if isinstance(operand, nodes.Binary) and operand.operator == "or":
                operands += (operand.left, operand.right)
                continue
            path = self.path(operand, scope)
            if path is None:
                return None
            paths.add(written(path))
        return (_ONE_OF, *sorted(paths))

    def _asked(self, node: nodes.Test, scope: Scope, *, is_there: bool) -> frozenset[Path]:
        path = self.path(node.of, scope)
        return NOTHING if path is None or not is_there else frozenset({path})

    def _not_default(self, node: nodes.Node, scope: Scope, *, result: bool) -> frozenset[Path]:
        """Return the path that has a value unless ``node`` is ``result``.

        ``result`` is the outcome for the default: ``count | default(0) > 5`` is false.
        """
        compared: tuple[str, nodes.Node] | None = None
        if isinstance(node, nodes.Comparison):
            if len(node.rest) != 1:
                return NOTHING
            (right,) = node.rest
            compared, node = (right.sign, right.operand), node.first
        is_length = isinstance(node, nodes.Filter) and node.name in {"count", "length"}
        if isinstance(node, nodes.Filter) and is_length and node.of is not None:
            node = node.of
        match node:
            case nodes.Filter(of=nodes.Node() as of, arguments=arguments) if node.name in DEFAULTS:
                pass
            case nodes.Binary(operator="or", left=of, right=fallback):
                arguments = (nodes.Argument(None, fallback),)
            case _:
                return NOTHING
        path = self.path(of, scope)
        outcome = _outcome(arguments, compared, is_length=is_length)
        return frozenset({path}) if path is not None and outcome is result else NOTHING

    def items_of(self, node: nodes.Node, scope: Scope) -> Path | None:
        """Return the path of the array whose items ``node`` has."""
        while True:
            if isinstance(node, nodes.Filter) and node.of is not None:
                if node.name not in _OF_THE_SAME | DEFAULTS:
                    return None
                node = node.of
            elif isinstance(node, nodes.Binary) and node.operator == "or":
                node = node.left
            elif isinstance(node, nodes.Index) and node.is_slice:
                node = node.of
            else:
                return self.path(node, scope)


def chosen(node: nodes.Node, item: Path) -> frozenset[Path]:
    """Return the members that each item of an array has because others were left out.

    As ``items | selectattr("name")`` leaves out those without a name.
    """
    paths: set[Path] = set()
    while isinstance(node, nodes.Filter) and node.of is not None:
        words = [each.value.value for each in node.arguments if _is_text(each.value)]
        is_selected = node.name == "selectattr" and words[1:] in ([], ["defined"])
        is_rejected = node.name == "rejectattr" and words[1:] in (["undefined"], ["none"])
        if words and len(words) == len(node.arguments) and (is_selected or is_rejected):
            paths.add((*item, *str(words[0]).split(".")))
        node = node.of
    return frozenset(paths)


def _is_text(node: nodes.Node) -> TypeGuard[nodes.Literal]:
    return isinstance(node, nodes.Literal) and isinstance(node.value, str)


def _outcome(
    arguments: Sequence[nodes.Argument],
    compared: tuple[str, nodes.Node] | None,
    *,
    is_length: bool,
) -> bool | None:
    """Return the result of a condition on a default; None if unknown."""
    default: object = ""
    if arguments:
        node = arguments[0].value
        if isinstance(node, nodes.Literal):
            default = node.value
        elif isinstance(node, nodes.Collection):
            default = node.items
        else:
            return None
    if is_length:
        if not isinstance(default, str | tuple):
            return None
        default = len(default)
    if compared is None:
        return bool(default)
    sign, other = compared
    if sign not in COMPARES or not isinstance(other, nodes.Literal):
        return None
    try:
        return bool(COMPARES[sign](default, other.value))
    except TypeError:
        return None


def printed_nodes(node: nodes.Node) -> list[nodes.Node]:
    """Return the expressions whose values a print may show as they are, in order."""
    found: list[nodes.Node] = []
    pending = [node]
    while pending:
        node = pending.pop()
        match node:
            case nodes.Filter(of=nodes.Node() as of) if node.name in DEFAULTS | TEXT_FILTERS:
                pending.append(of)
            case nodes.Binary(operator="or" | "and" | "~"):
                left = true_part(node.left) if node.operator == "or" else node.left
                pending += (node.right, left)
            case nodes.Condition():
                pending += (node.then,) if node.other is None else (node.other, node.then)
            case _:
                found.append(node)
    return found
