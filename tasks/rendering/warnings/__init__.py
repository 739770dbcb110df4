"""Warnings about the texts of a version, which block nothing: pure, no I/O."""

from collections.abc import Iterator
from typing import Any, Final

from tasks.rendering.checks.pointless import late_defaults
from tasks.rendering.checks.quoted import quoted_markup
from tasks.rendering.warnings.codes import Code, Place, warning
from tasks.rendering.warnings.declarations import (
    lost_languages,
    scheduled_versions,
    unused_variables,
)
from tasks.rendering.warnings.foreign import foreign_placeholders
from tasks.rendering.warnings.outputs import finished_text_warnings, output_warnings
from tasks.rendering.warnings.pages import insecure_links, page_warnings

__all__ = [
    "MOST_WARNINGS",
    "Warned",
    "finished_text_warnings",
    "lost_languages",
    "output_warnings",
    "scheduled_versions",
    "source_warnings",
    "unused_variables",
]

MOST_WARNINGS: Final = 100
"""Of one kind, in one answer."""

Warned = list[dict[str, Any]]


def source_warnings(
    source: str, path: str, *, html: bool, language: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield warnings about a source as it stands; ``language`` is the text's, if it has its own."""
    yield from foreign_placeholders(source, path)
    for found in quoted_markup(source) if html else ():
        yield warning(Code.QUOTED_MARKUP, Place(path, source, found.start), found.message)
    for late in late_defaults(source):
        yield warning(Code.LATE_DEFAULT, Place(path, source, late.start), late.message)
    yield from page_warnings(source, path, language) if html else insecure_links(source, path)
