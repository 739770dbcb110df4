"""The steps of the publish gate in their order, for a message and for files of an author."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.rendering.client import Renderer
from tasks.rendering.texts import Sources
from tasks.services.candidates import Candidates, Compiled
from tasks.services.formats import formatted
from tasks.services.gate import Gate, Stored
from tasks.services.outputs import require_other_languages, require_parts


@dataclass(frozen=True, slots=True)
class Submitted:
    """A version that is to pass the gate; ``variables`` are in their stored form, None infers."""

    type: str
    own: Sources
    translations: Mapping[str, Sources]
    format: str | None
    inline_css: bool
    variables: Stored | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Examined:
    """A version that has passed the gate: the texts to render, and warnings."""

    own: Compiled
    given: Sequence[Compiled]
    variables: Stored
    candidates: Candidates
    warnings: Sequence[dict[str, Any]]


def examine(
    version: Submitted,
    renderer: Renderer,
    make_gate: Callable[[Sequence[str]], tuple[Gate, Candidates]],
) -> Examined:
    """Return a version that passes the gate.

    Parameters
    ----------
    version
        Its sources, as they were sent.
    renderer
        Compiles other formats, such as MJML; the gate has the same limits.
    make_gate
        Returns a gate for sources as they are rendered, and what makes candidates of them.

    Raises
    ------
    ServiceError
        It does not pass; with all problems of the step that it fails, at places of the sources.
    """
    texts = version.translations
    paths = {"": version.own}
    paths |= {f"translations.{language}.": text for language, text in texts.items()}
    require_parts(
        version.type, paths.items(), inline_css=version.inline_css, source_format=version.format
    )
    html = formatted(version.format, paths, renderer, renderer.limits)
    sources = [source for text in html.texts.values() for source in text.given()]
    with html.places():
        gate, candidates = make_gate(sources)
        candidate = candidates.own(html.texts[""], version.metadata)
        require_other_languages(candidate.text["language"], texts, "translations")
        others = [
            candidates.translation(candidate, language, html.texts[prefix], prefix)
            for language, prefix in ((each, f"translations.{each}.") for each in texts)
        ]
        as_sent = gate.compile([candidate, *others])
        own, *given = as_sent
        variables = gate.compare(own, given, version.variables)
        if version.inline_css:
            own, *given = gate.inline([own, *given])
        gate.try_out([own, *given], variables)
    adviser = gate.adviser()
    warned = [
        *adviser.unused(as_sent, [each["name"] for each in version.variables or ()], "variables"),
        *adviser.texts(as_sent, [own, *given], variables),
    ]
    return Examined(own, given, variables, candidates, html.placed(warned))
