"""The publish gate over the files of a folder: the same steps as a publish, and no database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tasks.errors import Problem, ServiceError, problem
from tasks.rendering.client import Renderer
from tasks.rendering.limits import SECONDS_OF_EACH
from tasks.services.candidates import Candidates, Compiled
from tasks.services.examination import Submitted, examine
from tasks.services.gate import Gate
from worker.authoring.definition import Definition
from worker.authoring.library import FolderLibrary, Partials

_PATIENCE: Final = 10
"""How many times as long as in a worker trial renders may take: an author's machine may be slower,
and no pool process waits for this one."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A template that has passed the gate.

    Attributes
    ----------
    variables
        Declared or inferred.
    texts
        The sources to render: the version's own text, then its translations.
    """

    definition: Definition
    library: FolderLibrary
    variables: list[dict[str, Any]]
    texts: Sequence[Compiled]
    warnings: Sequence[Mapping[str, Any]]


class FolderGate:
    """Takes templates of a folder through the publish gate.

    Parameters
    ----------
    renderer
        Compiles and renders the sources; the gate has the same limits.
    partials
        Partials of the folder. One that passes is added, for the templates that use it.
    default_language
        The language of a version's own text where its metadata does not say.
    """

    def __init__(self, renderer: Renderer, partials: Partials, default_language: str) -> None:
        self._renderer = renderer
        self._partials = partials
        self._default_language = default_language

    def check(self, definition: Definition) -> Passed | list[Problem]:
        """Return a template that passes the gate, or all problems of the step that it fails."""
        try:
            passed = self._check(definition)
        except ServiceError as refusal:
            return refusal.details or [problem("", refusal.args[0], refusal.message)]
        name = definition.template_id
        self._partials.variables[name] = passed.variables
        if definition.inline_css or definition.format:
            for text in passed.texts:
                language = text.candidate.prefix.removeprefix("translations.").rstrip(".")
                self._partials.rendered[name, language] = text.candidate.text["body"]
        return passed

    def _check(self, definition: Definition) -> Passed:
        limits = self._renderer.limits
        # A partial may be used only where it passes, so those that a text uses are all known.
        library = self._partials.library(definition, self._default_language)
        place = self._partials.place(definition, limits.partial_depth)
        seconds = limits.trial_seconds + SECONDS_OF_EACH * len(definition.translations)

        def make_gate(_: Sequence[str]) -> tuple[Gate, Candidates]:
            deadline = self._renderer.clock() + _PATIENCE * seconds
            gate = Gate(self._renderer, library, place, deadline)
            return gate, Candidates(definition.type, self._default_language, library)

        examined = examine(_submitted(definition), self._renderer, make_gate)
        texts = [examined.own, *examined.given]
        return Passed(definition, library, examined.variables, texts, examined.warnings)


def _submitted(definition: Definition) -> Submitted:
    return Submitted(
        type=definition.type,
        own=definition.own,
        translations=definition.translations,
        format=definition.format,
        inline_css=definition.inline_css,
        variables=definition.variables,
        metadata=definition.version_metadata,
    )
