"""Partials of a folder, with the interface of the database's partials for the publish gate."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

from db.queries.partials import Partial
from tasks.services.graph import Place
from tasks.services.partials import Library
from worker.authoring.definition import Definition
from worker.authoring.dependencies import Dependencies

_NAMESPACE: Final = UUID("6f0c2a53-5ad6-44a4-8a2b-0d6d1f3d2a51")
"""First id for versions that are not stored yet; an arbitrary number."""


class FolderLibrary(Library):
    """Partials of a folder; their translations are at hand."""

    def __init__(
        self,
        loaded: Iterable[Partial],
        default_language: str,
        bodies: Mapping[tuple[UUID, str], str],
    ) -> None:
        super().__init__(None, loaded, default_language)
        self._given = bodies

    def read_bodies(self, wanted: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], str]:
        """Return the translated bodies of pairs of version and language."""
        return {each: self._given[each] for each in wanted if each in self._given}


@dataclass(slots=True)
class Partials:
    """The partials of a folder that have been checked so far.

    Attributes
    ----------
    variables
        The variables of each template that has passed the gate.
    rendered
        The bodies to render where styles were inlined or MJML was compiled, by template_id and
        language; an empty language is the version's own.
    """

    definitions: Mapping[str, Definition]
    dependencies: Dependencies
    variables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rendered: dict[tuple[str, str], str] = field(default_factory=dict)

    def library(self, definition: Definition, default_language: str) -> FolderLibrary:
        """Return the partials that a template uses, directly or through other partials."""
        loaded = [
            self._partial(self.definitions[name])
            for name in sorted(self.dependencies.reached(definition.uses()))
            if name in self.definitions
        ]
        bodies = {
            (partial.version_id, language): self.rendered.get(
                (partial.template_id, language), text.body
            )
            for partial in loaded
            for language, text in self.definitions[partial.template_id].translations.items()
            if partial.version_id is not None
        }
        return FolderLibrary(loaded, default_language, bodies)

    def place(self, definition: Definition, limit: int) -> Place:
        """Return the position of a template in the graph."""
        name = definition.template_id
        return Place(name, self.dependencies.height(name), limit)

    def _partial(self, definition: Definition) -> Partial:
        name = definition.template_id
        variables = definition.variables
        return Partial(
            template_id=name,
            type=definition.type,
            is_active=definition.is_active,
            is_deleted=False,
            version_id=uuid5(_NAMESPACE, name),
            version="",
            body=self.rendered.get((name, ""), definition.own.body),
            variables=self.variables.get(name, []) if variables is None else variables,
            language=definition.version_metadata.get("language"),
            languages=sorted(definition.translations),
            uses=self.dependencies.uses[name],
            translated_body=None,
        )
