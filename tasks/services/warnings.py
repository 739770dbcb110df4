"""Warnings of a publish, a translation and a preview, which block nothing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from tasks.errors import ServiceError
from tasks.rendering.client import Renderer
from tasks.rendering.frames import encode
from tasks.rendering.samples import BY_TYPE, TEXT
from tasks.rendering.texts import declaring
from tasks.rendering.variables import Declared, Schema, nested
from tasks.rendering.warnings import output_warnings, source_warnings, unused_variables
from tasks.services.candidates import Candidate, Compiled
from tasks.services.partials import Library

MOST_WARNINGS: Final = 100
"""Of one answer."""

Warned = list[dict[str, Any]]


class Adviser:
    """Finds what to warn of in texts that have passed the gate.

    Parameters
    ----------
    renderer
        Renders them, for what only a finished text shows.
    library
        Their partials.
    deadline
        By the renderer's clock, in seconds: no text is rendered after it.
    """

    def __init__(self, renderer: Renderer, library: Library, deadline: float) -> None:
        self._renderer = renderer
        self._library = library
        self._deadline = deadline

    def unused(self, texts: Sequence[Compiled], names: Sequence[str], path: str) -> Warned:
        """Return warnings of declared variables, by their names, that none of the texts uses."""
        used = {
            name for text in texts for names in text.placeholders.values() for name in names or ()
        }
        used |= {variable["name"] for variable in self._library.undeclared(())}
        return list(islice(unused_variables(names, used, path), MOST_WARNINGS))

    def sources(self, texts: Sequence[Compiled]) -> Warned:
        """Return warnings of sources as they stand."""
        return list(islice(self._sources(texts), MOST_WARNINGS))

    def outputs(self, texts: Sequence[Compiled], variables: Sequence[Declared]) -> Warned:
        """Return warnings of texts rendered with examples, or values made from the types."""
        names = [variable["name"] for variable in variables]
        declared = [*variables, *self._library.undeclared(names)]
        schema, values = Schema(declared), sample_values(declared)
        found: Warned = []
        for candidate in (text.candidate for text in texts):
            if candidate.text["type"] != "partial" and self._renderer.clock() < self._deadline:
                # Only its author knows what values of type any are like.
                with suppress(ServiceError):
                    text = declaring(candidate.text, schema)
                    parts = self._renderer.render(text, encode(values))
                    found += self.output(candidate, parts)
        return found[:MOST_WARNINGS]

    @staticmethod
    def output(candidate: Candidate, parts: Mapping[str, Any]) -> Warned:
        """Return warnings of a rendered text."""
        text, prefix = candidate.text, candidate.prefix
        path = f"{prefix}body"
        text_path = path if text.get("text") is None else f"{prefix}text"
        return list(output_warnings(text["type"], parts, text["body"], path, text_path))

    @staticmethod
    def _sources(texts: Sequence[Compiled]) -> Iterator[dict[str, Any]]:
        for text in texts:
            # A partial without a translation is in texts of other languages.
            is_partial = text.candidate.text["type"] == "partial"
            language = "" if is_partial else text.candidate.text["language"]
            for path, source, html in text.candidate.sources():
                yield from source_warnings(source, path, html=html, language=language)


def sample_values(declared: Sequence[Declared]) -> dict[str, Any]:
    """Return a value for each variable: its example or default, or one made from its type."""
    values = {}
    for variable in declared:
        known = (variable.get("example"), variable.get("default"))
        made = BY_TYPE.get(
            variable["type"], {"array": [TEXT], "object": {}}.get(variable["type"], TEXT)
        )
        values[variable["name"]] = next((value for value in known if value is not None), made)
    return nested(values)
