"""Source rewriting: adds strictness guards to operators.

``a < b`` becomes a call of a function in :mod:`tasks.rendering.filters`: of ``comparisons``, as
``a + b`` one of ``arithmetic``, ``a ~ b`` one of ``joining``, and ``a[1:]``, which gives an empty
list for a missing value and cuts what a reader sees as one character, one of ``graphemes``. No
line is added or taken away.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from tasks.rendering.filters.comparisons import ORDERING
from tasks.rendering.numbers import LARGEST
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import tree
from tasks.rendering.syntax.walk import assigned, conditions, expressions, within
from tasks.rendering.tags import tags
from tasks.rendering.usage.kinds import is_of_loop, kind_of
from tasks.rendering.usage.scopes import ASKING, DEFAULTS, printed_nodes

CALCULATED: Final = "__calculated"
CLUSTERS: Final = "__clusters"
HOLDS: Final = "__holds"
JOINED: Final = "__joined"
SLICED: Final = "__sliced"
SOME: Final = "__some"
WHOLE: Final = "__whole"
"""The names of the guards, which begin as no name does that an author would choose."""

_MAY_NEED: Final = re.compile(
    r"[<>=!]=|[<>]|\bin\b|[-+*/%~]|\[|\.|\bset\b|\b(?:count|first|last|length|map|tojson)\b"
)
_OF_CLUSTERS: Final = frozenset({"count", "first", "last", "length"})
"""Filters for which a text is a list of characters."""
_OF_ANY: Final = frozenset({*DEFAULTS, "first", "last", "reverse"})
"""Filters that give a text or something else."""
_METHODS_OF_LISTS: Final = frozenset({"items", "keys", "split", "splitlines", "values"})
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "//", "%", "**"})
_LARGEST_SIMPLE: Final = 2**31
"""Of literals that the engine calculates with: no operator makes a number of two that it rounds."""

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


def rewritten(source: str, around: Edits) -> Rewritten:
    """Return ``source`` with guards, inside the edits of ``around``.

    Without guards where its syntax cannot be read.
    """
    return Edits(around.opening, _guards(source), around.closing).applied(source)


def _guards(source: str) -> list[Edit]:
    may_need = any(_MAY_NEED.search(tag.inner) for tag in tags(source))
    parts = (tree(source) if may_need else None) or ()
    asked = {id(condition) for condition in conditions(parts)}
    edits = _Guards(source, frozenset(assigned(parts)))
    try:
        return [
            edit for each in expressions(parts) for edit in edits.of(each, asked=id(each) in asked)
        ]
    except RecursionError:  # a chain longer than any author writes
        return []


def edited(source: str, edits: Iterable[Edit]) -> Rewritten:
    """Return a source with edits: start and end of what is replaced, and by what.

    Insertions at the same place keep their order.
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


class _Guards:
    """Returns the edits of the expressions of a source."""

    def __init__(self, source: str, locals_: frozenset[str]) -> None:
        self._source = source
        self._locals = locals_

    def of(  # noqa: C901, PLR0912 - a case for each kind of node
        self, node: nodes.Node, *, asked: bool = False
    ) -> Iterator[Edit]:
        """Yield the edits of an expression; at the same place, the outer opening comes first.

        ``asked`` is whether it may be missing there.
        """
        match node:
            case nodes.Member() | nodes.Index(is_slice=False) if asked:
                yield from self._asked(node)
            case nodes.Filter() if node.of is not None and node.name in DEFAULTS:
                yield from self._first_asked(node, node.of)
            case nodes.Filter(name="tojson", of=nodes.Node() as of):
                yield from nulls(of)
                for inner in within(node):
                    yield from self.of(inner)
            case nodes.Filter(name="map") if (default := _named(node, "default")) is not None:
                for inner in within(node):
                    yield from self.of(inner)
                # The engine's own is for members that are left out, and null counts as left out.
                text = self._source[default.start : default.end]
                yield node.end, node.end, f'|map("default",{text})'
            case nodes.Test() if node.name in ASKING:
                yield from self._first_asked(node, node.of)
            case nodes.Unary(operator="not"):
                yield from self.of(node.of, asked=True)
            case nodes.Binary(operator="or"):
                yield from self.of(node.left, asked=True)
                yield from self.of(node.right, asked=asked)
            case nodes.Binary(operator="and"):
                yield from self.of(node.left, asked=asked)
                yield from self.of(node.right, asked=asked)
            case nodes.Condition():
                yield from self.of(node.then, asked=asked)
                yield from self.of(node.test, asked=True)
                if node.other is not None:
                    yield from self.of(node.other, asked=asked)
            case nodes.Literal() if _is_too_large(node.value):
                yield node.start, node.end, f'{WHOLE}("{node.value}")'
            case nodes.Binary(operator="~"):
                yield from self._joined(node)
            case nodes.Binary() if node.operator in _ARITHMETIC and not _is_simple(node):
                yield from self._calculated(node)
            case nodes.Unary(operator="-") if not _is_simple(node):
                yield from self._negated(node)
            case nodes.Comparison() if _needs_a_guard(node):
                yield from self._compared(node)
            case nodes.Index(is_slice=True):
                yield from self._sliced(node)
            case nodes.Index(of=of, keys=(key,)) if _counts(key) and _may_be_text(of):
                yield from self._in_clusters(of)
                yield from self.of(key)
            case nodes.Filter(of=nodes.Node() as of) if node.name in _OF_CLUSTERS and _may_be_text(
                of
            ):
                yield from self._in_clusters(of)
            case _:
                for inner in within(node):
                    yield from self.of(inner)

    def _first_asked(self, node: nodes.Node, first: nodes.Node) -> Iterator[Edit]:
        yield from self.of(first, asked=True)
        for inner in within(node):
            if inner is not first:
                yield from self.of(inner)

    def _asked(self, node: nodes.Member | nodes.Index) -> Iterator[Edit]:
        """Yield the edits of a member that may be missing, as may what it is a member of."""
        of = node.of
        is_step = (
            isinstance(of, nodes.Member | nodes.Filter | nodes.Call)
            or (isinstance(of, nodes.Index) and not of.is_slice)
            # A name of the template's own may stand for nothing; a variable is given or left out.
            or (isinstance(of, nodes.Name) and of.name in self._locals)
        )
        counts = isinstance(node, nodes.Index) and _counts(node.keys[0]) and _may_be_text(of)
        guards = (f"|{SOME}" if is_step else "") + (f"|{CLUSTERS}" if counts else "")
        if guards:
            yield of.start, of.start, "("
        yield from self.of(of, asked=True)
        if guards:
            yield of.end, of.end, f"{guards})"
        for key in node.keys if isinstance(node, nodes.Index) else ():
            yield from self.of(key)

    def _in_clusters(self, node: nodes.Node) -> Iterator[Edit]:
        yield node.start, node.start, "("
        yield from self.of(node)
        yield node.end, node.end, f"|{CLUSTERS})"

    def _sliced(self, node: nodes.Index) -> Iterator[Edit]:
        yield node.of.start, node.of.start, "("
        yield from self.of(node.of)
        for start, end in pairwise(node.marks):
            is_first = start == node.marks[0]
            text = f"|{SLICED}({node.start}," if is_first else ","
            key = next((key for key in node.keys if start < key.start < end), None)
            yield start, start + 1, text if key is not None else f'{text}""'
            if key is not None:
                yield from self.of(key)
        yield node.marks[-1], node.marks[-1] + 1, "))"

    def _compared(self, node: nodes.Comparison) -> Iterator[Edit]:
        yield _inner_start(node), _inner_start(node), f"{HOLDS}({node.start},"
        yield from self.of(node.first)
        for each in node.rest:
            yield each.start, each.end, f',"{each.sign}",'
            yield from self.of(each.operand)
        yield node.rest[-1].operand.end, node.rest[-1].operand.end, ")"

    def _calculated(self, node: nodes.Binary) -> Iterator[Edit]:
        yield node.left.start, node.left.start, f"{CALCULATED}({node.start},"
        yield from self.of(node.left)
        end = node.place + len(node.operator)
        yield node.place, end, f',"{node.operator}",'
        yield from self.of(node.right)
        yield node.right.end, node.right.end, ")"

    def _negated(self, node: nodes.Unary) -> Iterator[Edit]:
        minus = self._source.rindex("-", node.start, node.of.start)
        if isinstance(node.of, nodes.Literal) and isinstance(node.of.value, int):
            yield minus, node.of.end, f'{WHOLE}("-{node.of.value}")'
            return
        yield minus, minus + 1, f'{CALCULATED}({node.start},0,"-",'
        yield from self.of(node.of)
        yield node.of.end, node.of.end, ")"

    def _joined(self, node: nodes.Binary) -> Iterator[Edit]:
        yield node.left.start, node.left.start, f"{JOINED}({node.start},"
        yield from self._operand(node.left)
        yield node.place, node.place + 1, ","
        yield from self._operand(node.right)
        yield node.right.end, node.right.end, ")"

    def _operand(self, node: nodes.Node) -> Iterator[Edit]:
        yield from self.of(node)
        if isinstance(node, nodes.Condition) and node.other is None:
            # The value is undefined then; a function cannot distinguish that from a missing one.
            yield node.test.end, node.test.end, ' else ""'


def _is_simple(node: nodes.Node) -> bool:
    """Return whether the engine itself gets the results of the filter, faster."""
    match node:
        case nodes.Literal(value=bool() | float() | None):
            return False
        case nodes.Literal(value=int()):
            return abs(node.value) <= _LARGEST_SIMPLE
        case nodes.Literal():
            return True
        case nodes.Unary(operator="-"):
            return _is_simple(node.of)
        case nodes.Binary():
            return node.operator in _ARITHMETIC and _is_simple(node.left) and _is_simple(node.right)
    return is_of_loop(node)


def nulls(value: nodes.Node) -> Iterator[Edit]:
    """Yield the edits by which the ``none`` of an author is null, and no missing value."""
    for node in printed_nodes(value):
        if isinstance(node, nodes.Literal) and node.value is None:
            yield node.start, node.start, "("
            yield node.end, node.end, "|default(none))"


def _named(node: nodes.Filter, name: str) -> nodes.Node | None:
    """Return an argument by its name."""
    return next((each.value for each in node.arguments if each.name == name), None)


def _counts(key: nodes.Node) -> bool:
    """Return whether a key of an item is a whole number."""
    match key:
        case nodes.Literal(value=int()) | nodes.Binary() | nodes.Unary():
            return True
    return is_of_loop(key)


def _may_be_text(node: nodes.Node) -> bool:
    """Return whether what is counted or picked from may be a text, as far as its syntax says."""
    match node:
        case nodes.Filter():
            return kind_of(node) == "text" or node.name in _OF_ANY
        case nodes.Call():
            return isinstance(node.of, nodes.Member) and node.of.name not in _METHODS_OF_LISTS
        case nodes.Collection():
            return False
    return True


def _is_too_large(value: object) -> bool:
    """Return whether a literal is an integer that a function would get as a float."""
    return isinstance(value, int) and abs(value) > LARGEST


def _inner_start(node: nodes.Node) -> int:
    """Return where a comparison begins, within the parentheses that it may be in."""
    return node.first.start if isinstance(node, nodes.Comparison) else node.start


def _needs_a_guard(node: nodes.Comparison) -> bool:
    operands = [node.first, *(each.operand for each in node.rest)]
    # None and undefined look the same to a function, and an empty list or object equals only
    # another one. Comparisons by order still need the function: to the engine, every number is
    # greater than none.
    is_of_order = any(each.sign in ORDERING for each in node.rest)
    if not is_of_order and any(_is_itself_only(operand) for operand in operands):
        return False
    kinds = {kind_of(operand) for operand in operands}
    # Two texts have the order of the language, of numbers or of dates.
    return None in kinds or len(kinds) > 1 or (is_of_order and "text" in kinds)


def _is_itself_only(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Literal):
        return node.value is None
    return isinstance(node, nodes.Collection) and not node.items
