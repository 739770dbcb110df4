"""Warnings of a publish, a translation and a preview, which block nothing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from tasks.errors import RenderLimitExceeded
from tasks.rendering.client import Renderer
from tasks.rendering.variables import Declared
from tasks.rendering.warnings import MOST_WARNINGS, Warned, finished_text_warnings, unused_variables
from tasks.services.candidates import Candidate, Compiled
from tasks.services.partials import Library


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

    def texts(
        self,
        as_sent: Sequence[Compiled],
        rendered: Sequence[Compiled] = (),
        variables: Sequence[Declared] = (),
    ) -> Warned:
        """Return warnings of sources, and of texts rendered with examples or made-up values.

        ``rendered`` are the same texts with the bodies to render.
        """
        declared = self._library.with_undeclared(variables)
        texts = [
            {"text": text.candidate.text, "prefix": text.candidate.prefix}
            for text in rendered
            if text.candidate.text["type"] != "partial"
        ]
        sources = [source for text in as_sent for source in _sources(text.candidate)]
        for tried in (texts, ()):
            # These values are not those of the trial renders, so that a render may exceed a limit
            # here for the first time. It ends the process, and the warnings of sources are lost.
            with suppress(RenderLimitExceeded):
                return self._renderer.advise(sources, tried, declared, self._deadline)
        return []

    @staticmethod
    def output(candidate: Candidate, parts: Mapping[str, Any]) -> Warned:
        """Return warnings of a rendered text."""
        return list(finished_text_warnings(candidate.text, candidate.prefix, parts))


def _sources(candidate: Candidate) -> Iterator[dict[str, Any]]:
    # A partial without a translation is in texts of other languages.
    language = "" if candidate.text["type"] == "partial" else candidate.text["language"]
    for path, source, html in candidate.sources():
        yield {"path": path, "source": source, "html": html, "language": language}
