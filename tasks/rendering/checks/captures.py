"""Checks of where a template uses captured markup: pure, no I/O.

A ``{% set %}`` block, a macro, ``caller()``, ``super()`` and the filter ``escape`` give pieces of
markup. Printed, joined by ``~``, listed and handed on they stay that. What would cut or change
them (most filters, ``+``, subscripts, methods) is refused here, since it would break tags and
references, or show them to readers.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import Assignment, Block, Include, Part, Print, tree
from tasks.rendering.syntax.walk import within

# How much of a value is markup: nothing, something in it (a list of pieces), all of it.
_NONE, _HOLDS, _IS = range(3)

_MAY_CAPTURE = re.compile(
    r"\{%[-+]?\s*(?:set\s+[\w.]+\s*(?:\||[-+]?%\})|macro\b|filter\b|call\b)"
    r"|\b(?:caller|loop|super)\s*\(|\bself\s*\.|\|\s*e(?:scape)?\b"
)
_WORDS: Final = ("endset", "macro", "endfilter", "caller", "loop", "super", "self", "escape")
"""One of them is in what may capture; to look for them takes a tenth of the pattern's time."""

_ESCAPE = re.compile(r"\|\s*e")

_MEMBER = re.compile(r"set\s+([\w.]+)\s*=")

_CAPTURING: Final = frozenset({"caller", "loop", "super"})
_ESCAPING: Final = frozenset({"e", "escape"})
_KEEPING: Final = frozenset({"d", "default", "indent", "string", "trim"})
_READING: Final = frozenset(
    {"bool", "currency", "date", "datetime", "number", "percent", "striptags", "time", "tojson"}
)
_TAKING: Final = frozenset({"attr", "first", "last", "max", "min"})
_COMBINING: Final = frozenset({"d", "default", "join", "list", "plural"})

_FILTERED: Final = (
    "{name} cannot be applied to markup, such as a {{% set %}} block, a macro or escape gives: "
    "apply it to the values inside, as in {{{{ value | {name} }}}}"
)
_CHANGED: Final = (
    "markup, such as a {% set %} block, a macro or escape gives, has no operators but ~, no "
    "subscripts and no methods: print the pieces one after the other, or apply them to the values "
    "inside"
)


@dataclass(frozen=True, slots=True)
class Misuse:
    """A place, in characters of the source, at which markup would be cut or changed.

    ``filter`` is the name of the filter that would, if it is one.
    """

    start: int
    message: str
    filter: str = ""


def misused(source: str) -> list[Misuse]:
    """Return the places of an HTML template at which captured markup would be cut or changed."""
    if not _may_capture(source):
        return []
    return sorted(set(_Reader(source).misused()), key=lambda each: each.start)


def is_entangled(source: str) -> bool:
    """Return whether captured markup has uses other than printing it.

    Then the text part cannot be rendered from a template of its own: a condition, a comparison or a
    filter would see text where the page has markup.
    """
    if not _may_capture(source):
        return False
    reader = _Reader(source)
    return not reader.is_readable or reader.is_entangled()


def _may_capture(source: str) -> bool:
    has_words = any(word in source for word in _WORDS) or _ESCAPE.search(source) is not None
    return has_words and _MAY_CAPTURE.search(source) is not None


@dataclass(slots=True)
class _Names:
    """Contents of a template's names."""

    values: dict[str, int] = field(default_factory=dict)
    macros: dict[str, list[str]] = field(default_factory=dict)

    def put(self, name: str, markup: int) -> None:
        if markup > self.values.get(name, _NONE):
            self.values[name] = markup


class _Reader:
    """Goes through the syntax tree of a source, until no more names hold markup."""

    def __init__(self, source: str) -> None:
        parts = tree(source)
        self.is_readable = parts is not None
        self._parts = list(_every(parts or ()))
        self._names = _Names()
        self._misused: list[Misuse] = []
        try:
            self._read_all()
        except RecursionError:  # a chain longer than any author writes
            self.is_readable = False

    def _read_all(self) -> None:
        before = None
        while before != self._names.values:
            before = dict(self._names.values)
            self._misused.clear()
            for part in self._parts:
                self._read(part)

    def misused(self) -> Sequence[Misuse]:
        """Return the places at which markup would be cut or changed."""
        return self._misused

    def is_entangled(self) -> bool:
        """Return whether markup has uses other than printing it."""
        captures = False
        for part in self._parts:
            match part:
                case Print():
                    entangled = not self._is_printed(part.value)
                case Include():
                    entangled = captures  # what the partial does with it is unknown
                case Block(word="set" | "filter"):
                    captures = True
                    entangled = bool(part.values)
                case Block(word="macro" | "call"):
                    entangled = False
                case _:
                    entangled = any(map(self._holds_markup, _expressions(part)))
            if entangled:
                return True
        return False

    def _is_printed(self, node: nodes.Node) -> bool:
        """Return whether a print has no markup, or nothing else than one piece."""
        if isinstance(node, nodes.Name):
            return True
        if isinstance(node, nodes.Filter) and node.name in _ESCAPING and node.of is not None:
            node = node.of
        elif isinstance(node, nodes.Call) and self._is_call_of_markup(node):
            return not any(self._holds_markup(each.value) for each in node.arguments)
        return not self._holds_markup(node)

    def _holds_markup(self, node: nodes.Node) -> bool:
        return bool(self._markup(node)) or any(map(self._holds_markup, within(node)))

    def _read(self, part: Part) -> None:
        match part:
            case Assignment():
                markup = self._markup(part.value)
                member = _MEMBER.match(part.tag.inner)
                names = [member[1]] if member else []
                for name in [*names, *(target.name for target in part.targets)]:
                    self._names.put(name, markup)
                return
            case Block(word="set"):
                for target in part.targets:
                    self._names.put(target.name, _IS)
            case Block(word="macro"):
                self._names.macros[part.name] = [target.name for target in part.targets]
        values = [self._markup(each) for each in _expressions(part)]
        if isinstance(part, Block) and part.word in {"for", "with"}:
            markup = max(values, default=_NONE)
            if part.word == "for" and markup:
                markup = _IS  # an item of what holds some
            for target in part.targets:
                self._names.put(target.name, markup)

    def _is_call_of_markup(self, node: nodes.Call) -> bool:
        if isinstance(node.of, nodes.Name):
            return node.of.name in self._names.macros or node.of.name in _CAPTURING
        return isinstance(node.of, nodes.Member) and _path(node.of).startswith("self.")

    def _markup(self, node: nodes.Node) -> int:  # noqa: PLR0911 - one for each kind of node
        """Return how much of a value is markup, and record forbidden uses."""
        match node:
            case nodes.Name():
                return self._names.values.get(node.name, _NONE)
            case nodes.Member():
                inside = min(self._markup(node.of), _HOLDS)
                return max(self._names.values.get(_path(node), _NONE), inside)
            case nodes.Index():
                return self._item(node)
            case nodes.Collection():
                return min(max(map(self._markup, node.items), default=_NONE), _HOLDS)
            case nodes.Condition():
                self._markup(node.test)
                other = _NONE if node.other is None else self._markup(node.other)
                return max(self._markup(node.then), other)
            case nodes.Call():
                return self._called(node)
            case nodes.Filter():
                return self._filtered(node)
            case nodes.Binary():
                return self._operated(node)
        for each in within(node):
            self._markup(each)
        return _NONE

    def _item(self, node: nodes.Index) -> int:
        for key in node.keys:
            self._markup(key)
        whole = self._markup(node.of)
        if whole == _IS:
            return self._refuse(node, _CHANGED)
        return _IS if whole and not node.is_slice else whole

    def _operated(self, node: nodes.Binary) -> int:
        inside = (self._markup(node.left), self._markup(node.right))
        if node.operator in {"or", "and"}:
            return max(inside)
        if node.operator == "~":
            return _IS if _IS in inside else _NONE
        return self._refuse(node, _CHANGED) if _IS in inside else max(inside)

    def _called(self, node: nodes.Call) -> int:
        given = max((self._markup(each.value) for each in node.arguments), default=_NONE)
        if self._is_call_of_markup(node):
            name = node.of.name if isinstance(node.of, nodes.Name) else ""
            for parameter in self._names.macros.get(name, ()):
                self._names.put(parameter, given)
            return _IS
        if isinstance(node.of, nodes.Member) and self._markup(node.of.of) == _IS:
            return self._refuse(node, _CHANGED)
        return _HOLDS if given else _NONE

    def _filtered(self, node: nodes.Filter) -> int:
        name = node.name
        # What a block holds is a piece of markup.
        value = _IS if node.of is None else self._markup(node.of)
        given = max((self._markup(each.value) for each in node.arguments), default=_NONE)
        if name in _ESCAPING:
            return _IS
        if name in _COMBINING:
            return _IS if given or (value == _HOLDS and name in {"join", "list"}) else value
        if value == _IS and name in _KEEPING:
            return _IS
        if name in _READING:
            return _NONE
        if name == "map" and value:
            name = _mapped(node) or name
            value = _IS if name not in {*_READING, *_KEEPING, *_ESCAPING, "map"} else value
        if _IS in {value, given}:
            return self._refuse(node, _FILTERED.format(name=name), name)
        return (_IS if name in _TAKING else _HOLDS) if value else _NONE

    def _refuse(self, node: nodes.Node, message: str, name: str = "") -> int:
        self._misused.append(Misuse(node.start, message, name))
        return _NONE


def _mapped(node: nodes.Filter) -> str | None:
    """Return the name of the filter that a ``map`` applies to each item, if it does."""
    first = node.arguments[0] if node.arguments else None
    if first is None or first.name not in {None, "filter"}:
        return None
    value = first.value
    return (
        value.value if isinstance(value, nodes.Literal) and isinstance(value.value, str) else None
    )


def _every(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield each part of a source in order."""
    for part in parts:
        yield part
        for branch in part.branches if isinstance(part, Block) else ():
            yield from _every(branch.inside)


def _expressions(part: Part) -> list[nodes.Node]:
    """Return the expressions of a part, but of those within it."""
    if isinstance(part, Block):
        tests = [branch.test for branch in part.branches if branch.test is not None]
        return [*part.values, *tests]
    return [part.value]


def _path(node: nodes.Node) -> str:
    """Return names and members as they are written, such as ``ns.x``; empty for others."""
    if isinstance(node, nodes.Name):
        return node.name
    if not isinstance(node, nodes.Member):
        return ""
    parent = _path(node.of)
    return f"{parent}.{node.name}" if parent else ""
