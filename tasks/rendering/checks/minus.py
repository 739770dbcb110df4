"""Names with a hyphen, which a template reads as a subtraction: pure, no I/O."""

import re
from typing import Final, NamedTuple
from unicodedata import normalize

from tasks.rendering.syntax import nodes
from tasks.rendering.syntax.blocks import tree
from tasks.rendering.syntax.walk import every

_MAY: Final = re.compile(r"[\w\])]-[^\W\d]")


class Hyphenated(NamedTuple):
    """A subtraction that looks like a name with a hyphen: place, variable after it, and remedy."""

    place: int
    name: str
    message: str


def hyphenated(source: str) -> list[Hyphenated]:
    """Return the subtractions of a source that are written like a name: ``user.first-name``.

    Left out are subtractions of numbers and parentheses, and subtractions whose second name the
    source uses elsewhere.
    """
    parts = tree(source) if _MAY.search(source) else None
    if parts is None:
        return []
    found: list[tuple[nodes.Binary, nodes.Name]] = []
    names: list[nodes.Name] = []
    for node in every(parts):
        if isinstance(node, nodes.Name):
            names.append(node)
        elif isinstance(node, nodes.Binary) and node.operator == "-":
            right = _first_name(node.right)
            if _is_tight(node, right) and isinstance(right, nodes.Name):
                found.append((node, right))
    own = {id(right) for _, right in found}
    places: set[int] = set()
    used = {name.name for name in names if id(name) not in own}
    result = []
    for node, right in found:
        # Of several hyphens in a name, the last is the outermost.
        start = _start(node)
        if right.name not in used and start not in places:
            places.add(start)
            result.append(Hyphenated(start, right.name, _message(source, start, right)))
    return result


def _start(node: nodes.Binary) -> int:
    """Return where what looks like one name begins."""
    left = node.left
    while isinstance(left, nodes.Binary) and left.end == node.place:
        left = left.left if left.operator == "-" and _is_tight(left, left.right) else left.right
    return left.start


def _message(source: str, start: int, right: nodes.Name) -> str:
    written = source[start : right.end]
    *objects, last = re.split(r"\.(?=[^.]*$)", written)
    if objects and "[" not in last:
        remedy = f'write {objects[0]}["{last}"] for a member of that name'
    else:
        # Accents are marks of their own in this form, and left out.
        name = normalize("NFKD", written).encode("ascii", "ignore").decode().replace("-", "_")
        remedy = "a variable's own name has none: "
        remedy += f"name it {name}" if name.strip("_") else "write first_name, in ASCII"
    return f"'-' is minus in {written[:100]}: {remedy}, or put spaces around '-' to subtract"


def _is_tight(node: nodes.Binary, right: nodes.Node) -> bool:
    left = node.left
    # Of "x" ~ user.date-of-birth what is on the left ends in user.date.
    while isinstance(left, nodes.Binary) and left.end == node.place:
        left = left.right
    is_name = isinstance(left, nodes.Name | nodes.Member)
    return is_name and left.end == node.place and right.start == node.place + 1


def _first_name(node: nodes.Node) -> nodes.Node:
    """Return the name that an operand begins with: of ``a.city | upper`` it is ``a``."""
    while isinstance(node, nodes.Filter | nodes.Member | nodes.Test) and node.of is not None:
        node = node.of
    return node
