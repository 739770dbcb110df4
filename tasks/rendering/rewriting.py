"""What the engine compiles in the place of a source: operators that it has too lenient, guarded.

``a < b`` becomes a call of :func:`tasks.rendering.comparisons.holds`, and ``a[1:]``, which gives an
empty list for a missing value, asks for the value first. In HTML ``a ~ b``, which makes text of
markup, becomes a call of :mod:`tasks.rendering.joining`. No line is added or taken away.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tasks.rendering.kinds import kind_of
from tasks.rendering.numbers import LARGEST
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import tree
from tasks.rendering.syntax.walk import expressions, within

HOLDS: Final = "__holds"
JOINED: Final = "__joined"
THERE: Final = "__there"
WHOLE: Final = "__whole"
"""The names of the guards, which begin as no name does that an author would choose."""

_MAY_NEED: Final = re.compile(r"[<>=!]=|[<>]|\bin\b")
Edit = tuple[int, int, str]


class Rewritten(NamedTuple):
    """A source for the engine.

    ``places`` are offsets in it at which the difference to the original changes, and ``shifts`` the
    differences from there on.
    """

    text: str
    places: tuple[int, ...] = ()
    shifts: tuple[int, ...] = ()

    def original(self, place: int) -> int:
        """Return the offset in the original of one in the text."""
        index = bisect_right(self.places, place)
        return place - self.shifts[index - 1] if index else place


@dataclass(slots=True)
class Edits:
    """Insertions around expressions: start, end and text of each, by offsets in the original."""

    opening: list[Edit] = field(default_factory=list)
    inner: list[Edit] = field(default_factory=list)
    closing: list[Edit] = field(default_factory=list)

    def applied(self, source: str) -> Rewritten:
        """Return ``source`` with the edits."""
        # At one place, the outer opening and the inner closing come first.
        return edited(source, [*self.opening, *self.inner, *self.closing])


def rewritten(source: str, around: Edits, *, joins: bool = False) -> Rewritten:
    """Return ``source`` with guards, inside the edits of ``around``.

    Without guards where its syntax cannot be read. With ``joins``, ``~`` is replaced too.
    """
    return Edits(around.opening, _guards(source, joins=joins), around.closing).applied(source)


def _guards(source: str, *, joins: bool) -> list[Edit]:
    joins = joins and "~" in source
    may_need = joins or _MAY_NEED.search(source) is not None or ("[" in source and ":" in source)
    parts = tree(source) if may_need else None
    if parts is None:
        return []
    try:
        return [
            edit for expression in expressions(parts) for edit in _edits(expression, joins=joins)
        ]
    except RecursionError:
        return []


def edited(source: str, edits: Iterable[Edit]) -> Rewritten:
    """Return a source with edits: start and end of what is replaced, and by what.

    Of two insertions at one place, the first is before the other.
    """
    ordered = sorted(edits, key=lambda edit: edit[0])
    if not ordered:
        return Rewritten(source)
    pieces: list[str] = []
    places: list[int] = []
    shifts: list[int] = []
    last = length = 0
    for start, end, text in ordered:
        pieces += [source[last:start], text]
        length += start - last + len(text)
        places.append(length)
        shifts.append(length - end)
        last = end
    return Rewritten("".join([*pieces, source[last:]]), tuple(places), tuple(shifts))


def _edits(node: nodes.Node, *, joins: bool) -> Iterator[Edit]:
    is_comparison = isinstance(node, nodes.Comparison) and _needs_a_guard(node)
    is_slice = isinstance(node, nodes.Index) and node.is_slice
    if is_comparison:
        yield _inner_start(node), _inner_start(node), f"{HOLDS}({node.start},"
    if is_slice and isinstance(node, nodes.Index):
        yield node.of.start, node.of.start, "("
    if isinstance(node, nodes.Literal) and _is_too_large(node.value):
        yield node.start, node.end, f'{WHOLE}("{node.value}")'
    if joins and isinstance(node, nodes.Binary) and node.operator == "~":
        yield from _joined(node)
        return
    for inner in within(node):
        yield from _edits(inner, joins=joins)
        if is_slice and isinstance(node, nodes.Index) and inner is node.of:
            yield inner.end, inner.end, f"|{THERE}({node.start}))"
    if is_comparison and isinstance(node, nodes.Comparison):
        for each in node.rest:
            yield each.start, each.end, f',"{each.sign}",'
        yield node.rest[-1].operand.end, node.rest[-1].operand.end, ")"


def _joined(node: nodes.Binary) -> Iterator[Edit]:
    yield node.left.start, node.left.start, f"{JOINED}({node.start},"
    yield from _operand(node.left)
    yield node.place, node.place + 1, ","
    yield from _operand(node.right)
    yield node.right.end, node.right.end, ")"


def _operand(node: nodes.Node) -> Iterator[Edit]:
    yield from _edits(node, joins=True)
    if isinstance(node, nodes.Condition) and node.other is None:
        # It is nothing then, which a function cannot tell from what is missing.
        yield node.test.end, node.test.end, ' else ""'


def _is_too_large(value: object) -> bool:
    """Tell whether a literal is an integer that a function would get as a float."""
    return isinstance(value, int) and abs(value) > LARGEST


def _inner_start(node: nodes.Node) -> int:
    """Return where a comparison begins, within the parentheses that it may stand in."""
    return node.first.start if isinstance(node, nodes.Comparison) else node.start


def _needs_a_guard(node: nodes.Comparison) -> bool:
    operands = [node.first, *(each.operand for each in node.rest)]
    # None is not undefined, which a function cannot tell apart; and nothing but a truth value and
    # an empty list or object is like one.
    if any(_is_itself_only(operand) for operand in operands):
        return False
    kinds = {kind_of(operand) for operand in operands}
    return None in kinds or len(kinds) > 1


def _is_itself_only(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Literal):
        return node.value is None or isinstance(node.value, bool)
    return isinstance(node, nodes.Collection) and not node.items
