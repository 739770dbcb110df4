"""Conditions and defaults that never do what they say: pure, no I/O.

``{% if a == 1 or 2 %}`` holds always, and no default comes after a filter that gives a text.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from tasks.rendering.filters.text_filters import TEXT_FILTERS
from tasks.rendering.locale_filters import FILTERS
from tasks.rendering.places import Fault
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import tree
from tasks.rendering.syntax.walk import conditions, every
from tasks.rendering.usage.scopes import DEFAULTS

_GIVING_TEXT: Final = TEXT_FILTERS | frozenset(FILTERS) | {"join"}


def always_true(source: str) -> list[Fault]:
    """Return the sides of conditions that always hold."""
    if " or " not in source:
        return []
    parts = tree(source) or ()
    tests = [*conditions(parts), *(n.test for n in every(parts) if isinstance(n, nodes.Condition))]
    return sorted(set(_always_true(tests)), key=lambda each: each.start)


def late_defaults(source: str) -> list[Fault]:
    """Return the defaults that never come, since a filter before them gives a text."""
    found = _late_defaults(every(tree(source) or ()))
    return sorted(set(found), key=lambda each: each.start)


def _always_true(tests: list[nodes.Node]) -> Iterator[Fault]:
    pending = list(tests)
    while pending:
        node = pending.pop()
        if isinstance(node, nodes.Binary) and node.operator in {"and", "or"}:
            pending += (node.left, node.right)
            for side in (node.left, node.right) if node.operator == "or" else ():
                if _is_word_or_number(side):
                    yield Fault(
                        side.start,
                        "this side of 'or' always holds: write name == 'a' or name == 'b', or name "
                        "in ['a', 'b']",
                    )


def _is_word_or_number(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Literal) and not isinstance(node.value, bool) and bool(node.value)


def _late_defaults(expressions: Iterable[nodes.Node]) -> Iterator[Fault]:
    for node in expressions:
        if not (isinstance(node, nodes.Filter) and node.name in DEFAULTS):
            continue
        inner = node.of
        asks_for_empty = len(node.arguments) > 1 or any(each.name for each in node.arguments)
        if not isinstance(inner, nodes.Filter) or asks_for_empty:
            continue
        if inner.name in _GIVING_TEXT:
            yield Fault(
                node.start,
                f"{node.name} after {inner.name} is never used: {inner.name} always returns a "
                "text, even an empty one, or fails",
            )
