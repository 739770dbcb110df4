"""Reads the tags of a source as a tree of prints, blocks and single tags."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from tasks.rendering.syntax.expressions import CONSTANTS, DEEPEST, Reader
from tasks.rendering.syntax.nodes import Collection, Member, Name, Node
from tasks.rendering.syntax.tokens import UnreadableError
from tasks.rendering.tags import Kind, Tag, tags


@dataclass(slots=True, eq=False)
class Print:
    """``{{ value }}``."""

    tag: Tag
    value: Node


@dataclass(slots=True, eq=False)
class Include:
    """A tag that uses another source: ``include``, ``extends``."""

    tag: Tag
    value: Node


@dataclass(slots=True, eq=False)
class Assignment:
    """``{% set target = value %}``; ``{% do value %}`` has no targets."""

    tag: Tag
    targets: tuple[Name, ...]
    value: Node


@dataclass(slots=True, eq=False)
class Branch:
    """A tag and what follows it, to the next tag of its block.

    ``test`` is what an ``if`` or ``elif`` asks, and what a ``for`` asks of each item.
    """

    tag: Tag
    test: Node | None = None
    inside: list["Part"] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Block:
    """A block with an end; the words of MiniJinja.

    ``targets`` are the names that it gives values: of a loop, ``with``, ``macro``, ``call`` or
    ``set``. ``values`` is what they are made of: what is looped over, the values of ``with``, the
    defaults of a macro, the call of ``call``, the filters of ``filter`` and ``set``.
    """

    word: str
    targets: tuple[Name, ...] = ()
    values: tuple[Node, ...] = ()
    name: str = ""
    branches: list[Branch] = field(default_factory=list)


Part = Print | Include | Assignment | Block

_PATH: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_ENDS: Final = {
    "for": "endfor",
    "if": "endif",
    "with": "endwith",
    "filter": "endfilter",
    "block": "endblock",
    "macro": "endmacro",
    "call": "endcall",
    "set": "endset",
    "raw": "endraw",
    "autoescape": "endautoescape",
}
_BETWEEN: Final = {"else": frozenset({"if", "for"}), "elif": frozenset({"if"})}


MOST_CHARACTERS: Final = 40_000
"""Limit of a tag."""

MOST_TOKENS: Final = 40_000
"""Limit of a source: reading more takes half a second. No author writes a tenth of it."""


@lru_cache(maxsize=4)
def tree(source: str) -> list[Part] | None:
    """Return the parts of ``source``, or None where it cannot be read."""
    try:
        return _Builder(source).build()
    except (UnreadableError, RecursionError):
        return None


def reader(source: str, tag: Tag) -> Reader:
    """Return a reader of a tag's contents."""
    start = source.index(tag.inner, tag.start + 2) if tag.inner else tag.end - 2
    return Reader(source, start, start + len(tag.inner))


class _Builder:
    def __init__(self, source: str) -> None:
        self._source = source
        self._parts: list[Part] = []
        self._open: list[Block] = []
        self._tokens = 0

    def build(self) -> list[Part]:
        for tag in tags(self._source):
            if tag.kind is Kind.PRINT:
                self._inside().append(Print(tag, self._printed(tag)))
            elif tag.kind is Kind.BLOCK:
                self._tag(tag)
        if self._open:
            raise UnreadableError
        return self._parts

    def _printed(self, tag: Tag) -> Node:
        inner = tag.inner
        if _PATH.fullmatch(inner) is not None and inner not in CONSTANTS:
            # Most prints are of this kind.
            start = self._source.index(inner, tag.start + 2)
            first, *members = inner.split(".")
            end = start + len(first)
            node: Node = Name(start, end, first)
            for member in members:
                end += 1 + len(member)
                node = Member(start, end, node, member)
            return node
        read = self._reader(tag)
        value = read.expression()
        read.finish()
        return value

    def _reader(self, tag: Tag) -> Reader:
        if len(tag.inner) > MOST_CHARACTERS:
            raise UnreadableError
        read = reader(self._source, tag)
        self._tokens += read.count
        if self._tokens > MOST_TOKENS:
            raise UnreadableError
        return read

    def _inside(self) -> list[Part]:
        return self._open[-1].branches[-1].inside if self._open else self._parts

    def _tag(self, tag: Tag) -> None:
        word = tag.word
        if self._open and word == _ENDS[self._open[-1].word]:
            self._open.pop()
            return
        if word in _BETWEEN:
            self._between(tag)
            return
        read = self._reader(tag)
        read.name()
        match word:
            case "include" | "extends":
                # What may follow the name is refused elsewhere.
                self._inside().append(Include(tag, read.expression()))
                return
            case "do":
                self._inside().append(Assignment(tag, (), read.expression()))
            case "set":
                self._set(read, tag)
            case "break" | "continue":
                pass
            case _:
                self._begin(read, tag)
                return
        read.finish()

    def _between(self, tag: Tag) -> None:
        if not self._open or self._open[-1].word not in _BETWEEN[tag.word]:
            raise UnreadableError
        test = None
        read = self._reader(tag)
        read.name()
        if tag.word == "elif":
            test = read.no_condition()
        read.finish()
        self._open[-1].branches.append(Branch(tag, test))

    def _set(self, read: Reader, tag: Tag) -> None:
        targets = _targets(read, dotted=True)
        if read.skip("="):
            value = read.expression()
            while read.skip(","):
                # A tuple, of which nothing more must be known than its values.
                value = _both(value, read.expression())
            self._inside().append(Assignment(tag, targets, value))
            return
        values = (read.filters(),) if read.skip("|") else ()
        self._push(Block("set", targets, values, branches=[Branch(tag)]))

    def _begin(self, read: Reader, tag: Tag) -> None:
        block = Block(tag.word)
        test: Node | None = None
        match tag.word:
            case "if":
                test = read.no_condition()
            case "for":
                block.targets = _targets(read)
                read.require("in")
                block.values = (read.no_condition(),)
                test = read.expression() if read.skip("if") else None
                read.skip("recursive")
            case "with":
                _assignments(read, block)
            case "filter":
                block.values = (read.filters(),)
            case "block":
                block.name = read.name().text
                read.skip("scoped")
                read.skip("required")
            case "macro":
                block.name = read.name().text
                _parameters(read, block)
            case "call":
                if read.is_at("("):
                    _parameters(read, block)
                block.values += (read.expression(),)
            case "raw" | "autoescape":
                self._push(Block(tag.word, branches=[Branch(tag)]))
                return
            case _:
                raise UnreadableError
        read.finish()
        block.branches.append(Branch(tag, test))
        self._push(block)

    def _push(self, block: Block) -> None:
        if len(self._open) >= DEEPEST:
            raise UnreadableError
        self._inside().append(block)
        self._open.append(block)


def _targets(read: Reader, *, dotted: bool = False, single: bool = False) -> tuple[Name, ...]:
    """Read the names that are assigned; a namespace's members are left out."""
    names: list[Name] = []
    while True:
        if read.skip("("):
            names += _targets(read, dotted=dotted)
            read.require(")")
        else:
            token = read.name()
            is_member = False
            while dotted and read.skip("."):
                read.name()
                is_member = True
            if not is_member:
                names.append(Name(token.start, token.end, token.text))
        if single or not read.skip(",") or read.token.kind != "name" or read.is_at("in"):
            return tuple(names)


def _assignments(read: Reader, block: Block) -> None:
    targets: list[Name] = []
    values: list[Node] = []
    while read.token.kind != "end":
        if values:
            read.require(",")
        targets += _targets(read, single=True)
        read.require("=")
        values.append(read.expression())
    block.targets, block.values = tuple(targets), tuple(values)


def _parameters(read: Reader, block: Block) -> None:
    targets: list[Name] = []
    values: list[Node] = []
    read.require("(")
    while not read.skip(")"):
        if targets:
            read.require(",")
            if read.skip(")"):
                break
        targets += _targets(read, single=True)
        if read.skip("="):
            values.append(read.expression())
    block.targets, block.values = tuple(targets), tuple(values)


def _both(one: Node, other: Node) -> Node:
    return Collection(one.start, other.end, (one, other))
