"""Fenced blocks of a Markdown file, as the tests that run them see them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes
    ----------
    place
        File and line, for messages.
    language
        The first word after the fence; GitHub colours by it.
    role
        What stands after that word, which readers do not see: what a test does with the block.
    text
        What is inside.
    """

    place: str
    language: str
    role: str
    text: str


def blocks(file: Path) -> Iterator[Block]:
    """Yield the fenced blocks of ``file``, from top to bottom."""
    text = file.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(f"{file.name}:{line}", match[1], match[2] or "", match[3])


def renamed(block: Block, names: dict[str, str]) -> Block:
    """Return ``block`` with other ids, so that an example can run beside other tests."""
    text = block.text
    for name, other in names.items():
        text = text.replace(name, other)
    return replace(block, text=text)
