"""Uses of variables by a source, and which of them a missing value does no harm.

Every use of a variable or of a member of one is found in the syntax tree, with what is known where
it stands: the paths that conditions around it have found to be there.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.rendering.partials import uses as partials_in
from tasks.rendering.paths import ITEM, Path
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import Assignment, Block, Include, Part, Print, tree

_DEFAULTS: Final = frozenset({"d", "default"})
# They answer for a value that is missing.
_ASKING: Final = frozenset({"defined", "none", "undefined"})
# Their items are items of what they are given.
_OF_THE_SAME: Final = frozenset(
    {"list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"}
)
_COMPARES: Final[Mapping[str, Callable[..., bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NOTHING: Final[frozenset[Path]] = frozenset()


@dataclass(frozen=True, slots=True)
class Use:
    """A use of the value at ``path``.

    Attributes
    ----------
    path
        Of names, and of :data:`tasks.rendering.paths.ITEM` for the variable of a loop.
    place
        Where it stands in its source, in characters.
    guarded
        Whether a missing value is no error here: it is only asked about, or has a default.
    present
        The paths that surely have a value here.
    """

    path: Path
    place: int
    guarded: bool
    present: frozenset[Path]


@dataclass(frozen=True, slots=True)
class _Local:
    """A name that the source gives a value itself.

    ``path`` is the value's, where it is another name of one, whose uses are uses of that;
    ``if_true`` and ``if_false`` are the paths that have a value if the local is true or false.
    """

    path: Path | None = None
    if_true: frozenset[Path] = _NOTHING
    if_false: frozenset[Path] = _NOTHING


_OPAQUE: Final = _Local()
_Scope = dict[str, _Local]


def uses_of(
    sources: Iterable[str], partials: Mapping[str, str], own_names: frozenset[str]
) -> list[Use] | None:
    """Return the uses of variables in ``sources``, or None where one cannot be read.

    Parameters
    ----------
    sources
        Subject and body.
    partials
        The sources of the partials that they use, by template_id.
    own_names
        The names that are no variables: the engine's own, and its functions.
    """
    found: list[Use] = []
    for source in sources:
        walker = _Walker(partials, own_names, found)
        if not walker.source(source, {}, _NOTHING, ()):
            return None
    return found


class _Walker:
    def __init__(
        self, partials: Mapping[str, str], own_names: frozenset[str], found: list[Use]
    ) -> None:
        self._partials = partials
        self._own = own_names
        self._found = found
        self._readable = True
        self._seen: set[tuple[str, frozenset[tuple[str, _Local]], frozenset[Path]]] = set()

    def source(
        self, source: str, scope: _Scope, present: frozenset[Path], chain: tuple[str, ...]
    ) -> bool:
        """Walk through a source; tell whether it and its partials could be read."""
        parts = tree(source)
        if parts is None:
            return False
        self._within(parts, scope, present, source, chain)
        return self._readable

    def _within(
        self,
        parts: Sequence[Part],
        scope: _Scope,
        present: frozenset[Path],
        source: str,
        chain: tuple[str, ...],
    ) -> None:
        for part in parts:
            if isinstance(part, Print):
                self._value(part.value, scope, present)
            elif isinstance(part, Assignment):
                self._assign(part, scope, present)
            elif isinstance(part, Include):
                self._include(part, scope, present, source, chain)
            else:
                self._block(part, scope, present, source, chain)

    def _assign(self, part: Assignment, scope: _Scope, present: frozenset[Path]) -> None:
        local = self._local(part.value, scope) if len(part.targets) == 1 else _OPAQUE
        if local.path is None:
            self._value(part.value, scope, present)
        scope |= dict.fromkeys((target.name for target in part.targets), local)

    def _local(self, value: nodes.Node, scope: _Scope) -> _Local:
        return _Local(
            self._path(value, scope), self._if_true(value, scope), self._if_false(value, scope)
        )

    def _include(
        self,
        part: Include,
        scope: _Scope,
        present: frozenset[Path],
        source: str,
        chain: tuple[str, ...],
    ) -> None:
        used = {use.start: use.partial for use in partials_in(source)}
        name = used.get(part.tag.start)
        if name is None or name not in self._partials or name in chain:
            return
        # There may be many ways to a partial, of which each finds the same uses.
        way = (name, frozenset(scope.items()), present)
        if way in self._seen:
            return
        self._seen.add(way)
        if not self.source(self._partials[name], dict(scope), present, (*chain, name)):
            self._readable = False

    def _block(  # noqa: C901, PLR0912 - a case for each word
        self,
        block: Block,
        scope: _Scope,
        present: frozenset[Path],
        source: str,
        chain: tuple[str, ...],
    ) -> None:
        match block.word:
            case "if":
                self._if(block, scope, present, source, chain)
                return
            case "for":
                self._for(block, scope, present, source, chain)
                return
            case "raw":
                return
        if block.word == "macro":
            scope[block.name] = _OPAQUE
        inner = dict(scope)
        if block.word == "with":
            for target, value in zip(block.targets, block.values, strict=False):
                local = self._local(value, inner)
                if local.path is None:
                    self._value(value, inner, present)
                inner[target.name] = local
        else:
            for value in block.values:
                self._value(value, scope, present)
            if block.word != "set":
                inner |= dict.fromkeys((target.name for target in block.targets), _OPAQUE)
        if block.word in {"macro", "call"}:
            inner |= {"caller": _OPAQUE, "varargs": _OPAQUE, "kwargs": _OPAQUE}
        for branch in block.branches:
            self._within(branch.inside, inner, present, source, chain)
        if block.word == "set":
            scope |= dict.fromkeys((target.name for target in block.targets), _OPAQUE)

    def _if(
        self,
        block: Block,
        scope: _Scope,
        present: frozenset[Path],
        source: str,
        chain: tuple[str, ...],
    ) -> None:
        before = dict(scope)
        ends: list[_Scope] = []
        for branch in block.branches:
            known = present
            if branch.test is not None:
                self._value(branch.test, before, present, guarded=True)
                known = present | self._if_true(branch.test, before)
                present |= self._if_false(branch.test, before)
            inner = dict(before)
            self._within(branch.inside, inner, known, source, chain)
            ends.append(inner)
        if block.branches[-1].test is not None:
            ends.append(before)
        # A name that only some branches set may still be a variable after them.
        for name in set.intersection(*(set(end) for end in ends)):
            locals_ = {end[name] for end in ends}
            scope[name] = locals_.pop() if len(locals_) == 1 else _OPAQUE

    def _for(
        self,
        block: Block,
        scope: _Scope,
        present: frozenset[Path],
        source: str,
        chain: tuple[str, ...],
    ) -> None:
        (iterated,) = block.values
        self._value(iterated, scope, present)
        path = self._items_of(iterated, scope)
        item = None if path is None or len(block.targets) > 1 else (*path, ITEM)
        inner = dict(scope) | {target.name: _Local(item) for target in block.targets}
        inner["loop"] = _OPAQUE
        known = present if item is None else present | {item}
        first, *others = block.branches
        if first.test is not None:
            self._value(first.test, inner, known, guarded=True)
            known |= self._if_true(first.test, inner)
        self._within(first.inside, inner, known, source, chain)
        for branch in others:
            self._within(branch.inside, dict(scope), present, source, chain)

    def _items_of(self, node: nodes.Node, scope: _Scope) -> Path | None:
        """Return the path of the array whose items ``node`` has."""
        while True:
            if isinstance(node, nodes.Filter) and node.of is not None:
                if node.name not in _OF_THE_SAME | _DEFAULTS:
                    return None
                node = node.of
            elif isinstance(node, nodes.Binary) and node.operator == "or":
                node = node.left
            elif isinstance(node, nodes.Index) and node.is_slice:
                node = node.of
            else:
                return self._path(node, scope)

    def _value(  # noqa: C901, PLR0912 - a case for each kind of node
        self,
        node: nodes.Node | None,
        scope: _Scope,
        present: frozenset[Path],
        *,
        guarded: bool = False,
    ) -> None:
        """Find the uses in an expression; ``guarded`` if a missing value of it is no error."""
        path = None if node is None else self._path(node, scope)
        if node is not None and path is not None:
            self._found.append(Use(path, node.start, guarded, present))
            return
        match node:
            case nodes.Collection():
                for item in node.items:
                    self._value(item, scope, present)
            case nodes.Member():
                self._value(node.of, scope, present)
            case nodes.Index():
                self._value(node.of, scope, present)
                for key in node.keys:
                    self._value(key, scope, present)
            case nodes.Call():
                # A method is no member of the value that it is called of.
                called = node.of.of if isinstance(node.of, nodes.Member) else node.of
                self._value(called, scope, present)
                self._arguments(node.arguments, scope, present)
            case nodes.Filter():
                is_default = node.name in _DEFAULTS
                self._value(node.of, scope, present, guarded=is_default)
                for argument in node.arguments:
                    self._value(argument.value, scope, present, guarded=is_default and guarded)
            case nodes.Test():
                self._value(node.of, scope, present, guarded=node.name in _ASKING)
                self._arguments(node.arguments, scope, present)
            case nodes.Unary():
                self._value(node.of, scope, present, guarded=node.operator == "not")
            case nodes.Comparison():
                for operand in (node.first, *(each.operand for each in node.rest)):
                    self._value(operand, scope, present)
            case nodes.Condition():
                self._value(node.test, scope, present, guarded=True)
                known = present | self._if_true(node.test, scope)
                self._value(node.then, scope, known, guarded=guarded)
                known = present | self._if_false(node.test, scope)
                self._value(node.other, scope, known, guarded=guarded)
            case nodes.Binary(operator="or"):
                self._value(node.left, scope, present, guarded=True)
                known = present | self._if_false(node.left, scope)
                self._value(node.right, scope, known, guarded=guarded)
            case nodes.Binary(operator="and"):
                # Where the left side is missing, it is what comes out.
                self._value(node.left, scope, present, guarded=guarded)
                known = present | self._if_true(node.left, scope)
                self._value(node.right, scope, known, guarded=guarded)
            case nodes.Binary():
                self._value(node.left, scope, present)
                self._value(node.right, scope, present)

    def _arguments(
        self, arguments: Sequence[nodes.Argument], scope: _Scope, present: frozenset[Path]
    ) -> None:
        for argument in arguments:
            self._value(argument.value, scope, present)

    def _path(self, node: nodes.Node, scope: _Scope) -> Path | None:
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

    def _if_true(  # noqa: PLR0911 - one for each kind of node
        self, node: nodes.Node, scope: _Scope
    ) -> frozenset[Path]:
        """Return the paths that have a value where ``node`` is true."""
        path = self._path(node, scope)
        if path is not None:
            return frozenset({path})
        match node:
            case nodes.Name() if node.name in scope:
                return scope[node.name].if_true
            case nodes.Unary(operator="not"):
                return self._if_false(node.of, scope)
            case nodes.Binary(operator="and"):
                return self._if_true(node.left, scope) | self._if_true(node.right, scope)
            case nodes.Binary(operator="or"):
                return self._if_true(node.left, scope) & self._if_true(node.right, scope)
            case nodes.Test() if node.name in _ASKING:
                return self._asked(node, scope, is_there=(node.name == "defined") != node.negated)
            case nodes.Filter() | nodes.Comparison():
                return self._not_default(node, scope, result=False)
        return _NOTHING

    def _if_false(  # noqa: PLR0911 - one for each kind of node
        self, node: nodes.Node, scope: _Scope
    ) -> frozenset[Path]:
        """Return the paths that have a value where ``node`` is false."""
        match node:
            case nodes.Name() if node.name in scope:
                return scope[node.name].if_false
            case nodes.Unary(operator="not"):
                return self._if_true(node.of, scope)
            case nodes.Binary(operator="and"):
                return self._if_false(node.left, scope) & self._if_false(node.right, scope)
            case nodes.Binary(operator="or"):
                return self._if_false(node.left, scope) | self._if_false(node.right, scope)
            case nodes.Test() if node.name in _ASKING:
                return self._asked(node, scope, is_there=(node.name == "defined") == node.negated)
            case nodes.Filter() | nodes.Comparison():
                return self._not_default(node, scope, result=True)
        return _NOTHING

    def _asked(self, node: nodes.Test, scope: _Scope, *, is_there: bool) -> frozenset[Path]:
        path = self._path(node.of, scope)
        return _NOTHING if path is None or not is_there else frozenset({path})

    def _not_default(self, node: nodes.Node, scope: _Scope, *, result: bool) -> frozenset[Path]:
        """Return the path that has a value unless ``node`` is ``result``.

        That is what a default in it would give: ``count | default(0) > 5`` is false.
        """
        compared: tuple[str, nodes.Node] | None = None
        if isinstance(node, nodes.Comparison):
            if len(node.rest) != 1:
                return _NOTHING
            (right,) = node.rest
            compared, node = (right.sign, right.operand), node.first
        is_length = isinstance(node, nodes.Filter) and node.name in {"count", "length"}
        if isinstance(node, nodes.Filter) and is_length and node.of is not None:
            node = node.of
        if not isinstance(node, nodes.Filter) or node.name not in _DEFAULTS or node.of is None:
            return _NOTHING
        path = self._path(node.of, scope)
        outcome = _outcome(node.arguments, compared, is_length=is_length)
        return frozenset({path}) if path is not None and outcome is result else _NOTHING


def _outcome(
    arguments: Sequence[nodes.Argument],
    compared: tuple[str, nodes.Node] | None,
    *,
    is_length: bool,
) -> bool | None:
    """Return what a default gives in a condition, or None where nobody can tell."""
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
    if sign not in _COMPARES or not isinstance(other, nodes.Literal):
        return None
    try:
        return bool(_COMPARES[sign](default, other.value))
    except TypeError:
        return None


def optional_for(path: Path, uses: Iterable[Use]) -> bool:
    """Tell whether no use misses the value at ``path``, or one below it, if it is left out."""
    length = len(path)
    return all(
        use.guarded or any(there[:length] == path for there in use.present)
        for use in uses
        if use.path[:length] == path
    )
