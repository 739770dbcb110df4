"""The nodes of an expression; places are offsets in the source, in characters."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Node:
    """An expression, from ``start`` to before ``end``."""

    start: int
    end: int


@dataclass(slots=True, eq=False)
class Name(Node):
    """A variable."""

    name: str


@dataclass(slots=True, eq=False)
class Literal(Node):
    """A text, number, truth value or none."""

    value: str | float | None


@dataclass(slots=True, eq=False)
class Collection(Node):
    """A list, tuple or map, whose keys and values are both ``items``."""

    items: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Member(Node):
    """A member by its name: ``of.name`` or ``of["name"]``."""

    of: Node
    name: str


@dataclass(slots=True, eq=False)
class Index(Node):
    """An item by any other key, or a slice, whose bounds are ``keys``.

    ``marks`` are the offsets of the brackets and colons of a slice.
    """

    of: Node
    keys: tuple[Node, ...]
    is_slice: bool = False
    marks: tuple[int, ...] = ()


@dataclass(slots=True, eq=False)
class Argument:
    """An argument of a call; ``name`` is set for a keyword argument."""

    name: str | None
    value: Node


@dataclass(slots=True, eq=False)
class Call(Node):
    """A call of a function, macro or method."""

    of: Node
    arguments: tuple[Argument, ...]


@dataclass(slots=True, eq=False)
class Filter(Node):
    """A filter; ``of`` is None in ``{% filter %}`` and ``{% set %}``, which apply it to a block."""

    of: Node | None
    name: str
    arguments: tuple[Argument, ...]


@dataclass(slots=True, eq=False)
class Test(Node):
    """A test after ``is``, or ``is not``."""

    of: Node
    name: str
    arguments: tuple[Argument, ...]
    negated: bool


@dataclass(slots=True, eq=False)
class Unary(Node):
    """``not`` or a minus before a number."""

    operator: str
    of: Node


@dataclass(slots=True, eq=False)
class Binary(Node):
    """``or``, ``and``, ``~`` or arithmetic."""

    operator: str
    left: Node
    right: Node
    place: int


@dataclass(slots=True, eq=False)
class Comparison(Node):
    """One or more comparisons in a row: ``a < b < c``; ``in`` and ``not in`` too."""

    first: Node
    rest: tuple["Compared", ...]


@dataclass(slots=True, eq=False)
class Compared:
    """A sign of a comparison, from ``start`` to before ``end``, and what is on its right."""

    sign: str
    start: int
    end: int
    operand: Node


@dataclass(slots=True, eq=False)
class Condition(Node):
    """``then if test else other``; ``other`` is None where it is left out."""

    then: Node
    test: Node
    other: Node | None
