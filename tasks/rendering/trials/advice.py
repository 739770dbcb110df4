"""Warnings of texts that have passed the publish gate, found in the render process.

Its limits hold here too: a warning must not cost a pool process more than a render may.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from tasks.rendering.engine import Engine
from tasks.rendering.explain import SourceError
from tasks.rendering.frames import encode
from tasks.rendering.samples import sample_values
from tasks.rendering.texts import declaring
from tasks.rendering.variables import Declared, Schema
from tasks.rendering.warnings import MOST_WARNINGS, Warned, finished_text_warnings, source_warnings


def advice(
    engine: Engine,
    sources: Sequence[Mapping[str, Any]],
    texts: Sequence[Mapping[str, Any]],
    declared: Sequence[Declared],
    before_each: Callable[[], None],
) -> Warned:
    """Return warnings of sources as they stand, and of texts rendered with sample values.

    Parameters
    ----------
    engine
        The engine.
    sources
        Each with ``path``, ``source``, ``html`` (bool) and ``language``.
    texts
        Each with ``text``, and the ``prefix`` of its paths.
    declared
        The variables of the texts and of their partials.
    before_each
        Called before each source and render, which have a time limit of their own; it raises
        SourceError when the time of all is over.
    """
    found = list(islice(_of_sources(sources, before_each), MOST_WARNINGS))
    schema, values = Schema(declared), encode(sample_values(declared))
    outputs: Warned = []
    for each in texts:
        text = each["text"]
        try:
            before_each()
            ready = engine.prepare(declaring(text, schema))
            parts = engine.render(ready, engine.values(ready, values))
        except SourceError:
            continue  # only its author knows what values of type any are like
        outputs += finished_text_warnings(text, each["prefix"], parts)
    return [*found, *outputs[:MOST_WARNINGS]]


def _of_sources(
    sources: Sequence[Mapping[str, Any]], before_each: Callable[[], None]
) -> Iterator[dict[str, Any]]:
    for each in sources:
        try:
            before_each()
        except SourceError:
            return
        path, language = each["path"], each["language"]
        yield from source_warnings(each["source"], path, html=each["html"], language=language)
