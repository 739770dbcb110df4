"""Ways through a syntax tree."""

from collections.abc import Iterable, Iterator

from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import Assignment, Block, Include, Part, Print


def printed(parts: Iterable[Part]) -> Iterator[nodes.Node]:
    """Yield each expression that a source prints, in order."""
    for part in parts:
        if isinstance(part, Print):
            yield part.value
        elif isinstance(part, Block):
            for branch in part.branches:
                yield from printed(branch.inside)


def expressions(parts: Iterable[Part]) -> Iterator[nodes.Node]:
    """Yield each expression of a source in order; not those within it."""
    for part in parts:
        match part:
            case Print() | Include() | Assignment():
                yield part.value
            case Block():
                yield from part.values
                for branch in part.branches:
                    if branch.test is not None:
                        yield branch.test
                    yield from expressions(branch.inside)


def every(parts: Iterable[Part]) -> Iterator[nodes.Node]:
    """Yield each expression of a source and each within it, in order: outer ones come first."""
    for expression in expressions(parts):
        yield from nested(expression)


def nested(expression: nodes.Node) -> Iterator[nodes.Node]:
    """Yield an expression and each within it, in order: outer ones come first."""
    stack = [expression]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(list(within(node)))


def blocks(parts: Iterable[Part]) -> Iterator[Block]:
    """Yield each block of a source in order."""
    for part in parts:
        if isinstance(part, Block):
            yield part
            for branch in part.branches:
                yield from blocks(branch.inside)


def assigned(parts: Iterable[Part]) -> Iterator[str]:
    """Yield the names to which a source assigns values itself, except by loops."""
    for part in parts:
        match part:
            case Assignment():
                yield from (target.name for target in part.targets)
            case Block():
                if part.word != "for":
                    yield from (target.name for target in part.targets)
                for branch in part.branches:
                    yield from assigned(branch.inside)


def conditions(parts: Iterable[Part]) -> Iterator[nodes.Node]:
    """Yield each condition of an ``if`` or of a loop in order."""
    for part in parts:
        for branch in part.branches if isinstance(part, Block) else ():
            if branch.test is not None:
                yield branch.test
            yield from conditions(branch.inside)


def assigns(parts: Iterable[Part]) -> bool:
    """Return whether parts give a name a value that it has after them."""
    for part in parts:
        match part:
            case Assignment():
                return True
            case Block(word="set" | "macro"):
                return True
            case Block(word="if") if any(assigns(branch.inside) for branch in part.branches):
                return True
    return False


def within(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield the operands of an expression."""
    match node:
        case nodes.Collection():
            yield from node.items
        case nodes.Member() | nodes.Unary():
            yield node.of
        case nodes.Index():
            yield node.of
            yield from node.keys
        case nodes.Call() | nodes.Filter() | nodes.Test():
            if node.of is not None:
                yield node.of
            yield from (argument.value for argument in node.arguments)
        case nodes.Binary():
            yield node.left
            yield node.right
        case nodes.Comparison():
            yield node.first
            yield from (each.operand for each in node.rest)
        case nodes.Condition():
            yield node.then
            yield node.test
            if node.other is not None:
                yield node.other


def true_part(node: nodes.Node) -> nodes.Node:
    """Return what a true expression gives: of ``a and b`` only ``b``."""
    while isinstance(node, nodes.Binary) and node.operator == "and":
        node = node.right
    return node
