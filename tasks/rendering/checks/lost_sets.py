"""Names that a loop sets and that are read after it: pure, no I/O.

A name that is set within a loop ends with each of its turns, as in Jinja2: a sum over the items, or
a flag, would be what it was before the loop.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from tasks.rendering.places import Fault
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import Assignment, Block, Part, tree
from tasks.rendering.syntax.walk import nested

_OWN_SCOPE: Final = frozenset({"call", "filter", "macro", "with"})
"""Blocks whose names nobody reads after them either, which their authors expect."""


def lost_sets(source: str) -> list[Fault]:
    """Return the tags of loops that set a name which is set before and read after the loop."""
    if "for" not in source or "set" not in source:
        return []
    parts = tree(source) or ()
    return sorted(set(_lost(parts, frozenset(), ())), key=lambda each: each.start)


def _lost(
    parts: Sequence[Part], before: frozenset[str], after: tuple[Sequence[Part], ...]
) -> Iterator[Fault]:
    """Yield them; ``after`` is what follows ``parts``, the innermost first."""
    for index, part in enumerate(parts):
        if isinstance(part, Assignment):
            before |= {target.name for target in part.targets}
        if not isinstance(part, Block):
            continue
        rest = (parts[index + 1 :], *after)
        for branch in part.branches:
            if part.word == "for":
                for assignment in _assignments(branch.inside):
                    for target in assignment.targets:
                        if target.name in before and _reads(rest, target.name):
                            yield Fault(assignment.tag.start, _message(target.name))
            yield from _lost(branch.inside, before, rest)


def _message(name: str) -> str:
    return (
        f"'{name}' has its value from before the loop again after it: write "
        f"{{% set ns = namespace({name}={name}) %}} before it, {{% set ns.{name} = ... %}} in it, "
        f"and ns.{name} after it"
    )


def _assignments(parts: Sequence[Part]) -> Iterator[Assignment]:
    """Yield what sets a name in a turn of a loop, for as long as the turn."""
    for part in parts:
        if isinstance(part, Assignment):
            yield part
        elif isinstance(part, Block) and part.word not in _OWN_SCOPE:
            for branch in part.branches:
                yield from _assignments(branch.inside)


def _reads(following: tuple[Sequence[Part], ...], name: str) -> bool:
    """Return whether a name is read before it is set again."""
    outcomes = (_outcome(parts, name) for parts in following)
    return next((outcome for outcome in outcomes if outcome is not None), False)


def _outcome(parts: Sequence[Part], name: str) -> bool | None:
    """Return whether a name is read (True) or set again (False) first, None for neither."""
    for part in parts:
        if isinstance(part, Block):
            asked = (*part.values, *(each.test for each in part.branches if each.test is not None))
            if any(_names(node, name) for node in asked):
                return True
            is_own = any(target.name == name for target in part.targets)
            if not is_own and any(_outcome(each.inside, name) for each in part.branches):
                return True
        elif _names(part.value, name):
            return True
        elif isinstance(part, Assignment) and any(each.name == name for each in part.targets):
            return False
    return None


def _names(node: nodes.Node, name: str) -> bool:
    return any(isinstance(each, nodes.Name) and each.name == name for each in nested(node))
