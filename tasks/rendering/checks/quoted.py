"""Quoted texts of a source that readers would see as they stand: pure, no I/O.

What is in quotes is text: a placeholder there has no value, and a tag or reference of HTML is
escaped. Authors of Jinja2, whose values can be safe, expect otherwise.
"""

import re
from collections.abc import Iterator, Sequence
from html.entities import html5
from typing import Final

from tasks.rendering.places import Fault, shortened
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import Assignment, Block, Part, Print, tree
from tasks.rendering.syntax.walk import expressions, within

_PLACEHOLDER = re.compile(r"\{\{\s*[A-Za-z_][^{}]{0,200}\}\}")
_TAG = re.compile(
    r"</?(?:a|b|big|blockquote|body|br|button|center|code|dd|del|div|dl|dt|em|font|footer|h[1-6]|"
    r"head|header|hr|html|i|img|ins|li|link|mark|meta|ol|p|pre|s|script|section|small|span|strike|"
    r"strong|style|sub|sup|table|tbody|td|tfoot|th|thead|tr|u|ul|wbr)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"&(?:#\d{2,7}|#[xX][0-9A-Fa-f]{2,6}|(?P<name>[A-Za-z][A-Za-z0-9]{1,30}));")
_SEARCHING: Final = frozenset({"replace", "split"})
"""Filters and methods whose first argument is looked for in a value."""

_NOT_PRINTED: Final = frozenset({"e", "escape", "length", "count", "striptags", "tojson"})
_PRINTED_ARGUMENTS: Final = frozenset(
    {"d", "default", "format", "indent", "join", "plural", "replace", "truncate"}
)


def quoted(source: str) -> list[Fault]:
    """Return the quoted texts of a source that hold placeholders."""
    if "{{" not in source:
        return []
    return sorted(_placeholders(source), key=lambda each: each.start)


def quoted_markup(source: str) -> list[Fault]:
    """Return the quoted texts of an HTML source that hold tags or references of HTML."""
    return list(_markup(source)) if "{" in source else []


def literals(source: str) -> list[nodes.Literal]:
    """Return the quoted texts of a source that it may print."""
    try:
        found = list(_printed(tree(source) or ()))
    except RecursionError:  # a chain longer than any author writes
        return []
    return [node for node in found if isinstance(node.value, str)]


def _placeholders(source: str) -> Iterator[Fault]:
    pending = list(expressions(tree(source) or ()))
    while pending:
        node = pending.pop()
        if isinstance(node, nodes.Literal) and isinstance(node.value, str):
            match = _PLACEHOLDER.search(node.value)
            if match is not None:
                yield Fault(
                    node.start,
                    f"'{shortened(match[0])}' in quotes is text, without a value: join texts and "
                    "values by ~, as in 'Dear ' ~ name",
                )
        pending += _without_searched(node)


def _without_searched(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield the operands of an expression, but for a text that is looked for in a value."""
    match node:
        case nodes.Filter(name=name) | nodes.Call(of=nodes.Member(name=name)):
            if name in _SEARCHING and node.of is not None:
                yield node.of
                yield from (argument.value for argument in node.arguments[1:])
                return
    yield from within(node)


def _markup(source: str) -> Iterator[Fault]:
    for node in literals(source):
        value = str(node.value)
        tag = _TAG.search(value)
        reference = next(
            (
                each
                for each in _REFERENCE.finditer(value)
                if each["name"] is None or f"{each['name']};" in html5
            ),
            None,
        )
        shown = tag or reference
        if shown is not None:
            yield Fault(
                node.start, f"'{shortened(shown[0])}' in quotes is text, which readers would see"
            )


def _printed(parts: Sequence[Part]) -> Iterator[nodes.Literal]:
    for part in parts:
        match part:
            case Print() | Assignment():
                yield from _of(part.value)
            case Block():
                if part.word in {"call", "for", "with"}:
                    for value in part.values:
                        yield from _of(value)
                for branch in part.branches:
                    yield from _printed(branch.inside)


def _of(node: nodes.Node) -> Iterator[nodes.Literal]:
    """Yield the literals that become part of what an expression gives."""
    if isinstance(node, nodes.Literal):
        yield node
    for each in _passed_on(node):
        yield from _of(each)


def _passed_on(  # noqa: PLR0911 - one for each kind of node
    node: nodes.Node,
) -> Sequence[nodes.Node]:
    """Return the operands that become part of what an expression gives."""
    match node:
        case nodes.Filter():
            return _of_filter(node)
        case nodes.Call(of=nodes.Member()) | nodes.Member() | nodes.Index():
            return [node.of]
        case nodes.Call():
            return [argument.value for argument in node.arguments]
        case nodes.Binary(operator="~" | "+" | "or" | "and"):
            return [node.left, node.right]
        case nodes.Condition():
            return [node.then] if node.other is None else [node.then, node.other]
        case nodes.Collection():
            return node.items
    return ()


def _of_filter(node: nodes.Filter) -> list[nodes.Node]:
    if node.name in _NOT_PRINTED:
        return []
    values = [] if node.of is None else [node.of]
    if node.name in _PRINTED_ARGUMENTS:
        values += [each.value for each in node.arguments[node.name in _SEARCHING :]]
    return values
