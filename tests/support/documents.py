"""Fenced blocks of a Markdown file, as the tests that run them see them.

The purpose of a block follows the language of its fence, where readers do not see it. A block
acts, and those below it, up to the next one that acts, say with what and what comes of it. Besides
``json render.one`` and the like, which hold the keywords of that task, sources act, as their
authors write them:

``jinja preview email de fr``
    is sent to ``render.preview``, once for each language that is named.
``jinja publish email an_id``
    is published, once there is a template of that type and id.
``jinja translate an_id de``
    is sent to ``translation.upsert``.

A source with a subject begins with ``Subject:`` and has an empty line before the body.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

_FENCE = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SUBJECT = re.compile(r"Subject: ([^\n]*)\n\n")

_GIVEN: Final = {"values": "variables", "schema": "variables_schema"}
"""Blocks that hold one keyword; ``with`` holds any."""


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
        What stands after that word: what a test does with the block.
    text
        What is inside.
    """

    place: str
    language: str
    role: str
    text: str

    @property
    def acts(self) -> bool:
        """Whether the block does something, and is not about what the block above it does."""
        is_message = self.language == "json" and "." in self.role
        return is_message or self.language == "jinja" or self.role in {"run", "elsewhere", "tree"}


@dataclass(frozen=True, slots=True)
class Example:
    """A block that acts, and those that stand below it and are about it."""

    block: Block
    given: list[Block]
    shown: list[Block]

    @property
    def words(self) -> list[str]:
        """What the block does, and with what: ``preview``, ``email``, ``de``."""
        return self.block.role.split()

    def messages(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the tasks and their keywords that the example sends."""
        if self.block.language == "json":
            return [(self.block.role, json.loads(self.block.text))]
        keywords = source(self.block.text)
        for block in self.given:
            content = json.loads(block.text)
            keywords |= content if block.role == "with" else {_GIVEN[block.role]: content}
        match self.words:
            case ["preview", kind]:
                return [("render.preview", {"type": kind, **keywords})]
            case ["preview", kind, *languages]:
                return [
                    ("render.preview", {"type": kind, "language": language, **keywords})
                    for language in languages
                ]
            case ["publish", _, template_id]:
                return [("version.publish", {"template_id": template_id, **keywords})]
            case ["translate", template_id, language]:
                names = {"template_id": template_id, "language_code": language}
                return [("translation.upsert", names | keywords)]
        raise AssertionError(f"{self.block.place}: {self.block.role}?")


def blocks(file: Path) -> Iterator[Block]:
    """Yield the fenced blocks of ``file``, from top to bottom."""
    text = file.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(f"{file.name}:{line}", match[1], match[2] or "", match[3])


def examples(story: Iterable[Block]) -> Iterator[Example]:
    """Yield the blocks that act, each with those below it."""
    example = None
    for block in story:
        if block.acts:
            if example is not None:
                yield example
            example = Example(block, [], [])
            continue
        assert example is not None, f"{block.place}: it is about nothing"
        is_given = block.role == "with" or block.role in _GIVEN
        (example.given if is_given else example.shown).append(block)
    if example is not None:
        yield example


def source(text: str) -> dict[str, Any]:
    """Return the keywords of a source in a block: ``body``, and ``subject`` if there is one."""
    text = text.removesuffix("\n")
    match = _SUBJECT.match(text)
    if match is None:
        return {"body": text}
    return {"subject": match[1], "body": text[match.end() :]}


def refusal_text(refusal: list[Any]) -> str:
    """Return the ``exc_message`` of a refusal as the documents show it to authors."""
    code, sentence, details = refusal
    lines = [f"{code}: {sentence}"]
    for problem in details:
        place = problem["path"]
        if "line" in problem:
            place += f", line {problem['line']}, column {problem['column']}"
        lines.append(f"{place}: {problem['message']}")
        if "snippet" in problem:
            lines += problem["snippet"].split("\n")
    return "\n".join(lines)


def renamed(block: Block, names: Mapping[str, str]) -> Block:
    """Return ``block`` with other ids, so that an example can run beside other tests."""
    role, text = block.role, block.text
    for name, other in names.items():
        role, text = role.replace(name, other), text.replace(name, other)
    return replace(block, role=role, text=text)
