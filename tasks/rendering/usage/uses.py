"""Uses of variables by a source, and those to which a missing value does no harm.

Every use of a variable or of a member of one is found in the syntax tree, with what is known where
it is: the paths that conditions around it have found to be there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from tasks.rendering.filters.comparisons import COMPARES
from tasks.rendering.partials import uses as partials_in
from tasks.rendering.paths import ITEM, Path
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import Assignment, Block, Include, Part, Print, tree
from tasks.rendering.syntax.walk import assigns
from tasks.rendering.usage.kinds import kind_of
from tasks.rendering.usage.scopes import (
    ASKING,
    DEFAULTS,
    NOTHING,
    OPAQUE,
    Local,
    Names,
    Scope,
    Use,
    chosen,
    printed_nodes,
)
from tasks.rendering.usage.traces import Side, Traces

_COMPARING_TESTS: Final = frozenset(
    {
        *("==", "!=", "<", "<=", ">", ">=", "eq", "equalto", "ge", "greaterthan", "gt", "le"),
        *("lessthan", "lt", "ne"),
    }
)
_CONTAINING: Final = ("in", "not in")
_KEEPING: Final = DEFAULTS | {"e", "escape", "join", "safe", "string", "trim"}
"""Filters that leave a text whole."""
_OF_MACROS: Final = ("caller", "varargs", "kwargs")


class _Source(NamedTuple):
    """A source, and the partials on the way to it, itself included."""

    text: str
    chain: tuple[str, ...] = ()


@dataclass(slots=True)
class _Macro:
    block: Block
    scope: Scope
    source: _Source


@lru_cache(maxsize=4)
def _partials_by_place(source: str) -> dict[int, str | None]:
    return {use.start: use.partial for use in partials_in(source)}


def uses_of(
    sources: Iterable[str], partials: Mapping[str, str], own_names: frozenset[str]
) -> list[Use] | None:
    """Return the uses of variables in ``sources``, or None where one cannot be read.

    Parameters
    ----------
    sources
        The parts of a text.
    partials
        The sources of the partials that they use, by template_id.
    own_names
        The names that are not variables: the engine's own, and its functions.
    """
    found: list[Use] = []
    for source in sources:
        walker = _Walker(partials, own_names, found)
        if not walker.reads(source):
            return None
    return found


def traces(source: str, own_names: frozenset[str]) -> Traces:
    """Return the uses of values in a source; see :func:`uses_of` for ``own_names``."""
    walker = _Walker({}, own_names, [])
    walker.reads(source)
    return walker.traces


class _Walker:
    def __init__(
        self, partials: Mapping[str, str], own_names: frozenset[str], found: list[Use]
    ) -> None:
        self._partials = partials
        self._names = Names(own_names)
        self._found = found
        self._readable = True
        self._depth = 0
        self.traces = Traces([], [], [], [])
        self._seen: set[tuple[str, frozenset[tuple[str, Local]], frozenset[Path]]] = set()
        self._macros: dict[str, _Macro] = {}
        self._called: list[str] = []

    def reads(self, source: str) -> bool:
        """Walk through a source; return whether it and its partials could be read."""
        try:
            return self._reads(_Source(source), {}, NOTHING)
        except RecursionError:
            # Of thousands of operators in a row: the engine has other limits than Python.
            return False

    def _reads(self, source: _Source, scope: Scope, present: frozenset[Path]) -> bool:
        parts = tree(source.text)
        if parts is None:
            return False
        self._depth += 1
        self._within(parts, scope, present, source)
        self._depth -= 1
        return self._readable

    def _within(
        self, parts: Sequence[Part], scope: Scope, present: frozenset[Path], source: _Source
    ) -> None:
        for part in parts:
            if isinstance(part, Print):
                self._print(part.value, scope)
                self._value(part.value, scope, present)
            elif isinstance(part, Assignment):
                self._assign(part, scope, present)
            elif isinstance(part, Include):
                self._include(part, scope, present, source)
            else:
                self._block(part, scope, present, source)

    def _assign(self, part: Assignment, scope: Scope, present: frozenset[Path]) -> None:
        local = self._local(part.value, scope) if len(part.targets) == 1 else OPAQUE
        if local.path is None:
            self._value(part.value, scope, present)
        scope |= dict.fromkeys((target.name for target in part.targets), local)

    def _local(self, value: nodes.Node, scope: Scope) -> Local:
        return Local(
            self._names.path(value, scope),
            self._names.if_true(value, scope),
            self._names.if_false(value, scope),
        )

    def _include(
        self, part: Include, scope: Scope, present: frozenset[Path], source: _Source
    ) -> None:
        name = _partials_by_place(source.text).get(part.tag.start)
        if name is None or name not in self._partials or name in source.chain:
            return
        # There may be many ways to a partial, of which each finds the same uses.
        way = (name, frozenset(scope.items()), present)
        if way in self._seen:
            return
        self._seen.add(way)
        partial = _Source(self._partials[name], (*source.chain, name))
        if not self._reads(partial, dict(scope), present):
            self._readable = False

    def _block(  # noqa: C901, PLR0912 - a case for each word
        self, block: Block, scope: Scope, present: frozenset[Path], source: _Source
    ) -> None:
        match block.word:
            case "if":
                self._if(block, scope, present, source)
                return
            case "for":
                self._for(block, scope, present, source)
                return
            case "raw":
                return
        if block.word == "macro":
            scope[block.name] = OPAQUE
            self._macros[block.name] = _Macro(block, dict(scope), source)
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
                inner |= dict.fromkeys((target.name for target in block.targets), OPAQUE)
        if block.word in {"macro", "call"}:
            inner |= dict.fromkeys(_OF_MACROS, OPAQUE)
        for branch in block.branches:
            self._within(branch.inside, inner, present, source)
        if block.word == "set":
            scope |= dict.fromkeys((target.name for target in block.targets), OPAQUE)

    def _if(self, block: Block, scope: Scope, present: frozenset[Path], source: _Source) -> None:
        # Mostly no branch assigns anything, and a scope may be large.
        is_assigned = any(assigns(branch.inside) for branch in block.branches)
        before = dict(scope) if is_assigned else scope
        ends: list[Scope] = []
        for branch in block.branches:
            known = present
            if branch.test is not None:
                self._value(branch.test, before, present, guarded=True)
                known = present | self._names.if_true(branch.test, before)
                present |= self._names.if_false(branch.test, before)
            inner = dict(before) if is_assigned else before
            self._within(branch.inside, inner, known, source)
            ends.append(inner)
        if not is_assigned:
            return
        if block.branches[-1].test is not None:
            ends.append(before)
        # A name that only some branches set may still be a variable after them.
        for name in set.intersection(*(set(end) for end in ends)):
            locals_ = {end[name] for end in ends}
            scope[name] = locals_.pop() if len(locals_) == 1 else OPAQUE

    def _for(self, block: Block, scope: Scope, present: frozenset[Path], source: _Source) -> None:
        (iterated,) = block.values
        self._changed(iterated, iterated.start, scope)
        self._value(iterated, scope, present)
        path = self._names.items_of(iterated, scope)
        item = None if path is None or len(block.targets) > 1 else (*path, ITEM)
        inner = dict(scope) | {target.name: Local(item) for target in block.targets}
        inner["loop"] = OPAQUE
        known = present if item is None else present | {item} | chosen(iterated, item)
        first, *others = block.branches
        if first.test is not None:
            self._value(first.test, inner, known, guarded=True)
            known |= self._names.if_true(first.test, inner)
        self._within(first.inside, inner, known, source)
        for branch in others:
            self._within(branch.inside, dict(scope), present, source)

    def _value(  # noqa: C901, PLR0912, PLR0915 - a case for each kind of node
        self,
        node: nodes.Node | None,
        scope: Scope,
        present: frozenset[Path],
        *,
        guarded: bool = False,
    ) -> None:
        """Find the uses in an expression; ``guarded`` if a missing value of it is not an error."""
        path = None if node is None else self._names.path(node, scope)
        if node is not None and path is not None:
            self._found.append(Use(path, node.start, guarded, present))
            return
        match node:
            case nodes.Collection():
                for item in node.items:
                    self._value(item, scope, present)
            case nodes.Member():
                self._value(node.of, scope, present, guarded=guarded)
            case nodes.Index():
                self._changed(node.of, node.start, scope)
                self._value(node.of, scope, present, guarded=guarded and not node.is_slice)
                for key in node.keys:
                    self._value(key, scope, present)
            case nodes.Call(of=nodes.Name(name=name)) if self._is_macro(name, scope):
                self._call(node, self._macros[name], scope, present)
            case nodes.Call():
                # A method is not a member of the value that it is called of.
                called = node.of.of if isinstance(node.of, nodes.Member) else node.of
                if called is not node.of or not self._names.is_function(called, scope):
                    self._changed(called, node.start, scope)
                    self._value(called, scope, present)
                self._arguments(node.arguments, scope, present)
            case nodes.Filter():
                is_default = node.name in DEFAULTS
                if node.name not in _KEEPING:
                    self._changed(node.of, node.start, scope)
                self._value(node.of, scope, present, guarded=is_default)
                for argument in node.arguments:
                    if node.name not in _KEEPING:
                        self._changed(argument.value, node.start, scope)
                    self._value(argument.value, scope, present, guarded=is_default and guarded)
            case nodes.Test():
                for argument in node.arguments if node.name in _COMPARING_TESTS else ():
                    self._compared(node.of, argument.value, node.start, scope)
                self._value(node.of, scope, present, guarded=node.name in ASKING)
                self._arguments(node.arguments, scope, present)
            case nodes.Unary():
                self._value(node.of, scope, present, guarded=node.operator == "not")
            case nodes.Comparison():
                left = node.first
                for each in node.rest:
                    if each.sign in _CONTAINING:
                        self._changed(each.operand, node.start, scope)
                    if each.sign in COMPARES:
                        self._compared(left, each.operand, node.start, scope)
                    left = each.operand
                for operand in (node.first, *(each.operand for each in node.rest)):
                    self._value(operand, scope, present)
            case nodes.Condition():
                self._value(node.test, scope, present, guarded=True)
                known = present | self._names.if_true(node.test, scope)
                self._value(node.then, scope, known, guarded=guarded)
                known = present | self._names.if_false(node.test, scope)
                self._value(node.other, scope, known, guarded=guarded)
            case nodes.Binary(operator="or"):
                guarded = guarded or self._names.alternatives(node, scope) in present
                self._value(node.left, scope, present, guarded=True)
                known = present | self._names.if_false(node.left, scope)
                self._value(node.right, scope, known, guarded=guarded)
            case nodes.Binary(operator="and"):
                # Where the left side is missing, it is what comes out.
                self._value(node.left, scope, present, guarded=guarded)
                known = present | self._names.if_true(node.left, scope)
                self._value(node.right, scope, known, guarded=guarded)
            case nodes.Binary():
                if self._depth == 1 and node.operator != "~":
                    sides = self._sides(node.left, node.right, scope)
                    self.traces.calculations.append((node.place, node.operator, sides))
                self._value(node.left, scope, present)
                self._value(node.right, scope, present)

    def _is_macro(self, name: str, scope: Scope) -> bool:
        # One that calls itself may go through members of members without end.
        return scope.get(name) == OPAQUE and name in self._macros and name not in self._called

    def _call(
        self, node: nodes.Call, macro: _Macro, scope: Scope, present: frozenset[Path]
    ) -> None:
        """Find the uses of a macro's arguments, within the macro."""
        parameters = [target.name for target in macro.block.targets]
        inner = dict(macro.scope) | dict.fromkeys((*parameters, *_OF_MACROS), OPAQUE)
        for number, argument in enumerate(node.arguments):
            name = argument.name or (parameters[number] if number < len(parameters) else None)
            local = self._local(argument.value, scope)
            if local.path is None or name not in parameters:
                self._value(argument.value, scope, present)
            if name in parameters:
                inner[name] = local
        way = (f"macro {macro.block.name}", frozenset(inner.items()), present)
        if way in self._seen:
            return
        self._seen.add(way)
        self._called.append(macro.block.name)
        for branch in macro.block.branches:
            self._within(branch.inside, dict(inner), present, macro.source)
        self._called.pop()

    def _print(self, value: nodes.Node, scope: Scope) -> None:
        if self._depth == 1:
            for node in printed_nodes(value):
                path = self._names.path(node, scope)
                if path is not None:
                    self.traces.prints.append((node.start, path))

    def _compared(self, left: nodes.Node, right: nodes.Node, place: int, scope: Scope) -> None:
        if self._depth == 1:
            self.traces.comparisons.append((place, self._sides(left, right, scope)))

    def _sides(self, left: nodes.Node, right: nodes.Node, scope: Scope) -> tuple[Side, ...]:
        return tuple((self._names.path(side, scope), kind_of(side)) for side in (left, right))

    def _changed(self, node: nodes.Node | None, place: int, scope: Scope) -> None:
        if self._depth == 1 and node is not None:
            for each in printed_nodes(node):
                path = self._names.path(each, scope)
                if path is not None:
                    self.traces.changes.append((place, path))

    def _arguments(
        self, arguments: Sequence[nodes.Argument], scope: Scope, present: frozenset[Path]
    ) -> None:
        for argument in arguments:
            self._value(argument.value, scope, present)
