"""Prints that a reader would take for a mistake: nulls, objects, arrays, booleans, and where.

The engine reports neither what it prints nor where. So a source can be compiled again with each
print handed to Python first; that is slower, and is done only where the output may hold such a
print, or has failed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from tasks.rendering.paths import written_place
from tasks.rendering.rewriting import edited
from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import Block, Part, Print, tree
from tasks.rendering.values import MISSING, Null

PRINTED: Final = "__printed"
"""The name of the filter that prints go through."""

Kind = Literal["array", "boolean", "null", "object", "undefined"]
# What Python and the engine write of values. Patterns that begin with a letter of their own are
# found in a third of the time that the operator "in" takes, which is faster for one character: it
# is asked first for letters that many pages lack.
_WORDS: Final = tuple(re.compile(word).search for word in ("None", "True", "False", "undefined"))
_BRACE: Final = re.compile(r"\{['&]")
_BRACKET: Final = re.compile(r"\[[\](['\"&{\[\d\-TFN<u]")
# Of pairs, of objects whose names are not text, and of the engine's functions. Readers may mean
# "(1, 2)": a trial has the time to find out.
_MARKS_OF_TRIALS: Final = re.compile(r"\((?:['\"&\d]|text,)|\{-?\d")
_NONE: Final = frozenset({"None", "none"})


@dataclass(frozen=True, slots=True)
class Watched:
    """A print of a source.

    Attributes
    ----------
    place
        Where its value begins, in characters.
    name
        The variable that the value is or is made of, or else the value as it is written.
    root
        The variable of a loop that the value is a member of, or empty.
    members
        The names after the root.
    array
        What the innermost loop goes through, if its variable is the root: its own root, which may
        be the variable of another loop, and the names after that.
    may_be_boolean
        Whether the author asked for a boolean: by a test, a comparison or ``not``.
    may_be_missing
        Whether it is an ``if`` without ``else``, which prints nothing.
    """

    place: int
    name: str
    root: str
    members: tuple[str, ...]
    array: tuple[str, tuple[str, ...]] | None
    may_be_boolean: bool
    may_be_missing: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A print that must not be: where in which compiled source, of what, and the value's name.

    ``is_path`` is whether that is where the value of a loop's variable is among the values.
    """

    template: str
    place: int
    kind: Kind
    name: str
    is_path: bool


@dataclass(frozen=True, slots=True)
class _Loop:
    targets: tuple[str, ...]
    array: tuple[str, tuple[str, ...]] | None


def may_hold_a_value(rendered: str, source: str, *, is_trial: bool) -> bool:
    """Return whether the output of a source may hold a printed null, object, array or boolean."""
    none, true, false, undefined = _WORDS
    return bool(
        ("N" in rendered and none(rendered))
        or ("T" in rendered and true(rendered))
        or ("F" in rendered and false(rendered))
        or undefined(rendered)
        # Style sheets have empty rules.
        or (
            "{" in rendered
            and (_BRACE.search(rendered) or ("{}" in rendered and "{}" not in source))
        )
        or ("[" in rendered and _BRACKET.search(rendered))
        or (is_trial and _MARKS_OF_TRIALS.search(rendered))
    )


@lru_cache(maxsize=16)
def watched(source: str) -> tuple[str, Mapping[int, Watched]] | None:
    """Return a source whose prints go through :data:`PRINTED`, and the prints by their places.

    None where its syntax cannot be read.
    """
    parts = tree(source)
    if parts is None:
        return None
    try:
        prints = list(_prints(parts, source, ()))
    except RecursionError:
        return None
    edits = []
    for printed, value in prints:
        passed = [printed.root or "0", printed.array[0] if printed.array else "0"]
        index = "loop.index0" if printed.array else "0"
        edits += [
            (value.start, value.start, "("),
            (value.end, value.end, f")|{PRINTED}({printed.place},{','.join(passed)},{index})"),
        ]
    return edited(source, edits).text, {printed.place: printed for printed, _ in prints}


def judged(value: Any, printed: Watched) -> Kind | None:  # noqa: ANN401 - any value of a template
    """Return the problem of printing a value, or None."""
    match value:
        case None:
            kind: Kind = "null" if printed.name in _NONE else "undefined"
            return None if printed.may_be_missing else kind
        case Null():
            return "undefined" if value is MISSING else "null"
        case bool():
            return None if printed.may_be_boolean else "boolean"
        case dict() | list() | tuple():
            if _holds_null(value):
                return "null"
            return "object" if isinstance(value, dict) else "array"
    return None


def name_of(printed: Watched, values: Mapping[str, Any], passed: Sequence[Any]) -> tuple[str, bool]:
    """Return the name of a value that is printed, and whether it is its path among the values.

    Such a path has the index of each item.
    """
    item, base, index = passed
    if printed.root:
        place = _place_of(item, values)
        if place is None and printed.array is not None:
            root, members = printed.array
            start: tuple[str | int, ...] | None = (root,)
            if root not in values or values[root] is not base:
                start = _place_of(base, values)
            place = None if start is None else (*start, *members, index)
        if place is not None:
            return written_place((*place, *printed.members)), True
    return printed.name, False


def _prints(
    parts: Sequence[Part], source: str, loops: tuple[_Loop, ...]
) -> Iterator[tuple[Watched, nodes.Node]]:
    for part in parts:
        if isinstance(part, Print):
            yield _watch(part.value, source, loops), part.value
        elif isinstance(part, Block) and part.word != "raw":
            inner = loops
            if part.word == "for":
                targets = tuple(target.name for target in part.targets)
                array = _chain(part.values[0]) if part.branches[0].test is None else None
                inner = (*loops, _Loop(targets, array))
            elif part.word in {"macro", "call"}:
                inner = ()
            for number, branch in enumerate(part.branches):
                within = loops if part.word == "for" and number else inner
                yield from _prints(branch.inside, source, within)


def _watch(value: nodes.Node, source: str, loops: Sequence[_Loop]) -> Watched:
    chain = _chain(_unfiltered(value))
    name = " ".join(source[value.start : value.end].split())[:100]
    root = ""
    members: tuple[str, ...] = ()
    array = None
    if chain is not None:
        name = written_place((chain[0], *chain[1]))
        loop = next((each for each in reversed(loops) if chain[0] in each.targets), None)
        if loop is not None:
            root, members = chain
            is_innermost = loop is loops[-1] and len(loop.targets) == 1
            array = loop.array if is_innermost else None
    return Watched(
        place=value.start,
        name=name,
        root=root,
        members=members,
        array=array,
        may_be_boolean=_asks(value),
        may_be_missing=_may_print_nothing(value),
    )


def _chain(node: nodes.Node) -> tuple[str, tuple[str, ...]] | None:
    steps: list[str] = []
    while isinstance(node, nodes.Member):
        steps.append(node.name)
        node = node.of
    return (node.name, tuple(reversed(steps))) if isinstance(node, nodes.Name) else None


def _unfiltered(node: nodes.Node) -> nodes.Node:
    while isinstance(node, nodes.Filter) and node.of is not None:
        node = node.of
    return node


def _asks(node: nodes.Node) -> bool:
    match node:
        case nodes.Test() | nodes.Comparison() | nodes.Unary(operator="not"):
            return True
        case nodes.Literal():
            return isinstance(node.value, bool)
        case nodes.Binary(operator="and" | "or"):
            return _asks(node.left) and _asks(node.right)
        case nodes.Filter():
            return node.name == "bool"
    return False


def _may_print_nothing(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Condition) and (
        node.other is None or _may_print_nothing(node.other) or _may_print_nothing(node.then)
    )


def _holds_null(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_null, (*dict.keys(value), *dict.values(value))))
    if isinstance(value, list | tuple):
        return any(map(_holds_null, value))
    return value is None or isinstance(value, Null)


def _place_of(item: object, values: Mapping[str, Any]) -> tuple[str | int, ...] | None:
    """Return where an object or array is among values."""
    if not isinstance(item, dict | list):
        return None
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), values)]
    while stack:
        place, node = stack.pop()
        if node is item:
            return place
        if isinstance(node, dict):
            stack += [((*place, key), inner) for key, inner in dict.items(node)]
        elif isinstance(node, list):
            stack += [((*place, index), inner) for index, inner in enumerate(node)]
    return None
