"""Partials of a folder, as the publish gate finds those of the database."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

from db.queries.partials import Partial
from tasks.services.graph import Place
from tasks.services.partials import Library
from worker.authoring.definition import Definition

_NAMESPACE: Final = UUID("6f0c2a53-5ad6-44a4-8a2b-0d6d1f3d2a51")
"""Of ids that stand for versions which have none yet; an arbitrary number."""


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
class Graph:
    """Templates of a folder, and which of them use which.

    Attributes
    ----------
    variables
        The variables of each partial, once they are known.
    inlined
        The bodies to render where styles were inlined or MJML was compiled, by template_id and
        language; an empty language is the version's own.
    """

    definitions: Mapping[str, Definition]
    uses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    variables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    inlined: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, definitions: Iterable[Definition]) -> "Graph":
        """Return the graph of the templates of a folder."""
        known = {each.template_id: each for each in definitions}
        return cls(known, {name: sorted(each.uses()) for name, each in known.items()})

    def order(self) -> list[list[str]]:
        """Return the templates in groups: each uses only those of groups before it.

        Those of a cycle, and what uses them, are the last group.
        """
        left = {
            name: {each for each in uses if each in self.definitions}
            for name, uses in self.uses.items()
        }
        groups = []
        while left:
            ready = sorted(name for name, uses in left.items() if not uses & left.keys())
            group = ready or sorted(left)
            groups.append(group)
            for name in group:
                del left[name]
        return groups

    def reached(self, names: Iterable[str]) -> set[str]:
        """Return templates and all that these use, directly or through others."""
        return self._closure(names, self.uses)

    def users(self, names: Iterable[str]) -> set[str]:
        """Return templates and all that use these, directly or through others."""
        return self._closure(names, self._used_by())

    def library(self, definition: Definition, default_language: str) -> FolderLibrary:
        """Return the partials that a template uses, and those that these use."""
        loaded = [
            self._partial(self.definitions[name])
            for name in sorted(self.reached(definition.uses()))
            if name in self.definitions
        ]
        bodies = {
            (partial.version_id, language): self.inlined.get(
                (partial.template_id, language), text.body
            )
            for partial in loaded
            for language, text in self.definitions[partial.template_id].translations.items()
            if partial.version_id is not None
        }
        return FolderLibrary(loaded, default_language, bodies)

    def place(self, definition: Definition, limit: int) -> Place:
        """Return the position of a template in the graph."""
        return Place(definition.template_id, self._height(definition.template_id), limit)

    def _height(self, name: str) -> int:
        users, height, level = self._used_by(), 0, {name}
        seen = {name}
        while level := {user for each in level for user in users.get(each, ())} - {name}:
            height += 1
            if height > len(self.definitions):
                break  # a cycle, which the gate refuses
            seen |= level
        return height

    def _used_by(self) -> dict[str, list[str]]:
        users: dict[str, list[str]] = {}
        for name, uses in self.uses.items():
            for used in uses:
                users.setdefault(used, []).append(name)
        return users

    @staticmethod
    def _closure(names: Iterable[str], step: Mapping[str, Sequence[str]]) -> set[str]:
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += step.get(name, ())
        return found

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
            body=self.inlined.get((name, ""), definition.own.body),
            variables=self.variables.get(name, []) if variables is None else variables,
            language=definition.version_metadata.get("language"),
            languages=sorted(definition.translations),
            uses=self.uses[name],
            translated_body=None,
        )
