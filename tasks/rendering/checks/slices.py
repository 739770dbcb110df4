"""Slices of a source, in which the engine finds no placeholders: pure, no I/O."""

import re
from typing import Final

from tasks.rendering.tags import Kind, tags

_PIECE: Final = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^'"()\[\]{}:]+|.""",
    re.DOTALL,
)


def without_slices(source: str) -> str:
    """Return ``source`` with ``{{ name }}`` for ``{{ name[:1] }}``, to ask for its placeholders.

    What a slice goes from and to is printed before its tag, so that it is asked for too.
    """
    parts: list[str] = []
    last = 0
    for tag in tags(source):
        if tag.kind is Kind.COMMENT or "[" not in tag.inner or ":" not in tag.inner:
            continue
        inside, bounds = _without(source[tag.start + 2 : tag.end - 2])
        prints = "".join(f"{{{{ {bound} }}}}" for bound in bounds)
        opening, closing = source[tag.start : tag.start + 2], source[tag.end - 2 : tag.end]
        parts += [source[last : tag.start], prints, opening, inside, closing]
        last = tag.end
    return "".join([*parts, source[last:]])


class _Group:
    """The inside of brackets, split at colons."""

    def __init__(self, opening: str) -> None:
        self.opening = opening
        self.parts: list[list[str]] = [[]]

    def add(self, text: str) -> None:
        self.parts[-1].append(text)

    def ends_an_operand(self) -> bool:
        """Return whether a bracket that follows is a subscript, and not a list."""
        last = next((text.rstrip() for text in reversed(self.parts[-1]) if text.strip()), "")
        return last[-1:].isalnum() or last[-1:] in {"_", ")", "]", "'", '"'}


def _without(text: str) -> tuple[str, list[str]]:
    """Return the inside of a tag without its slices, and what these go from and to."""
    bounds: list[str] = []
    groups = [_Group("")]
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece in {"(", "[", "{"}:
            groups.append(_Group(piece))
        elif piece in {")", "]", "}"} and len(groups) > 1:
            group = groups.pop()
            parts = ["".join(part) for part in group.parts]
            if group.opening == "[" and len(parts) > 1 and groups[-1].ends_an_operand():
                bounds += [part.strip() for part in parts if part.strip()]
            else:
                groups[-1].add(f"{group.opening}{':'.join(parts)}{piece}")
        elif piece == ":" and groups[-1].opening == "[":
            groups[-1].parts.append([])
        else:
            groups[-1].add(piece)
    while len(groups) > 1:  # of a tag that does not compile
        group = groups.pop()
        groups[-1].add(group.opening + ":".join("".join(part) for part in group.parts))
    return "".join(groups[0].parts[0]), bounds
