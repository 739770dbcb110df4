"""docker-compose.yml as the tests see it.

The project needs no YAML anywhere else, so this reads what that one file uses: mappings and lists
by indentation, lists in JSON, plain and double-quoted scalars, anchors, aliases and merge keys.
Anything else is refused, rather than read wrongly.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LINE = re.compile(
    r"(?P<indent> *)(?P<dash>- )?(?:(?P<key>[\w.<-]+):(?: (?P<value>.+))?|(?P<item>.+))"
)
_REFUSED = ("|", ">", "{", "'", "!", "?", "@", "`")


def load(checkout: Path) -> dict[str, Any]:
    """Return docker-compose.yml."""
    text = (checkout / "docker-compose.yml").read_text(encoding="utf-8")
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    document: dict[str, Any] = _Reader(lines).block(0)
    return document


def command_of(test: list[str]) -> list[str]:
    """Return the command of a health check, as the container runs it."""
    kind, *arguments = (part.replace("$$", "$") for part in test)
    return ["/bin/sh", "-c", *arguments] if kind == "CMD-SHELL" else arguments


def seconds(duration: str) -> float:
    """Return the seconds of a duration such as ``45s`` or ``1m30s``."""
    parts = re.findall(r"(\d+)([hms])", duration)
    assert "".join(number + unit for number, unit in parts) == duration
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0
        self._anchors: dict[str, Any] = {}

    def block(self, indent: int) -> Any:  # noqa: ANN401 - any value
        """Return the list or mapping whose lines begin at ``indent``."""
        if self._lines[self._at].lstrip().startswith("- "):
            return list(self._items(indent))
        found: dict[str, Any] = {}
        for key, value in self._pairs(indent):
            if key in found:
                raise ValueError(f"twice: {key}")
            found[key] = value
        return {**found.pop("<<", {}), **found}

    def _items(self, indent: int) -> Iterator[Any]:
        for line, match in self._level(indent):
            if match["dash"] is None:
                raise ValueError(f"not understood: {line!r}")
            if match["key"] is not None:
                # A mapping in a list: its first key stands behind the dash.
                self._lines[self._at] = line.replace("- ", "  ", 1)
                yield self.block(indent + 2)
            else:
                self._at += 1
                yield _scalar(match["item"])

    def _pairs(self, indent: int) -> Iterator[tuple[str, Any]]:
        for line, match in self._level(indent):
            if match["dash"] is not None or match["key"] is None:
                raise ValueError(f"not understood: {line!r}")
            self._at += 1
            text, anchor = match["value"] or "", ""
            if text.startswith("&"):
                anchor, _, text = text[1:].partition(" ")
            value = self._value(text, indent)
            if anchor:
                self._anchors[anchor] = value
            yield match["key"], value

    def _level(self, indent: int) -> Iterator[tuple[str, re.Match[str]]]:
        """Yield the line that is next, while it begins at ``indent``."""
        while self._at < len(self._lines) and self._depth() >= indent:
            line = self._lines[self._at]
            match = _LINE.fullmatch(line)
            if match is None or self._depth() > indent:
                raise ValueError(f"not understood: {line!r}")
            yield line, match

    def _value(self, text: str, indent: int) -> Any:  # noqa: ANN401 - any value
        if text.startswith("*"):
            return self._anchors[text[1:]]
        if text:
            return _scalar(text)
        nested = self._at < len(self._lines) and self._depth() > indent
        return self.block(self._depth()) if nested else None

    def _depth(self) -> int:
        line = self._lines[self._at]
        return len(line) - len(line.lstrip())


def _scalar(text: str) -> Any:  # noqa: ANN401 - any value
    if text.startswith(("[", '"')):
        return json.loads(text)
    if text.startswith(_REFUSED) or " #" in text:
        raise ValueError(f"not understood: {text!r}")
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if text.isdecimal() else text
