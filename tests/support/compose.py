"""docker-compose.yml as the tests see it."""

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types


def load(checkout: Path) -> dict[str, Any]:
    """Return docker-compose.yml."""
    document: dict[str, Any] = yaml.safe_load((checkout / "docker-compose.yml").read_text("utf-8"))
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
