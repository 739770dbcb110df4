"""Warnings about the texts of a version, which block nothing: pure, no I/O."""

from collections.abc import Iterator
from typing import Any

from tasks.rendering.warnings.declarations import (
    lost_languages,
    scheduled_versions,
    unused_variables,
)
from tasks.rendering.warnings.foreign import foreign_placeholders
from tasks.rendering.warnings.outputs import output_warnings
from tasks.rendering.warnings.pages import insecure_links, page_warnings

__all__ = [
    "lost_languages",
    "output_warnings",
    "scheduled_versions",
    "source_warnings",
    "unused_variables",
]


def source_warnings(source: str, path: str, *, html: bool) -> Iterator[dict[str, Any]]:
    """Yield warnings about a source as it stands."""
    yield from foreign_placeholders(source, path)
    yield from page_warnings(source, path) if html else insecure_links(source, path)
