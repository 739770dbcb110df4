"""Definitions: all that a folder, a file or the service holds of one template."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tasks.messages.variables import Variable
from tasks.rendering.digests import template_digest, version_digest
from tasks.rendering.partials import partials_of
from tasks.rendering.texts import Sources

MJML: Final = "mjml"
FIELDS: Final = ("name", "type", "description", "category", "is_active", "metadata")
"""Members of a definition that belong to the template itself, and not to its version."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A template and the contents of its current version.

    ``variables`` are as in ``version.publish``, in their normal form; None has them inferred.
    ``format`` is ``mjml`` where bodies are written in it, and ``language`` in
    ``version_metadata`` is the language of the version's own text.
    """

    template_id: str
    name: str
    type: str
    own: Sources
    description: str | None = None
    category: str | None = None
    is_active: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)
    format: str | None = None
    inline_css: bool = False
    variables: list[dict[str, Any]] | None = None
    version_metadata: Mapping[str, Any] = field(default_factory=dict)
    translations: Mapping[str, Sources] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return the members that belong to the template itself."""
        return {name: getattr(self, name) for name in FIELDS}

    def version(self) -> dict[str, Any]:
        """Return the contents of the version, as messages and exports have them."""
        return {
            **self.own._asdict(),
            "format": self.format,
            "inline_css": self.inline_css,
            "variables": self.variables,
            "metadata": dict(self.version_metadata),
            "translations": {
                language: text._asdict() for language, text in sorted(self.translations.items())
            },
        }

    def entry(self) -> dict[str, Any]:
        """Return the definition as an entry of ``bundle.apply``, and of a file of templates."""
        return {"template_id": self.template_id, **self.fields(), "version": self.version()}

    def digest(self) -> str:
        """Return the template's digest, as the service computes it.

        Variables that are to be inferred are none in it: see :meth:`declaring`.
        """
        return template_digest(self.fields(), version_digest(self.version()))

    def declaring(self, variables: list[dict[str, Any]]) -> "Definition":
        """Return the definition with variables that were inferred."""
        return replace(self, variables=variables)

    def texts(self) -> Iterator[tuple[str, Sources]]:
        """Yield the sources of each language, with their path in a message."""
        yield "", self.own
        for language, text in self.translations.items():
            yield f"translations.{language}.", text

    def uses(self) -> set[str]:
        """Return the partials that the template uses itself, in any of its languages."""
        return partials_of(source for _, text in self.texts() for source in text)


def of_entry(entry: Mapping[str, Any]) -> Definition | None:
    """Return the definition in an answer of ``template.export``; None without a version."""
    version = entry["version"]
    if version is None:
        return None
    return Definition(
        template_id=entry["template_id"],
        **{name: entry[name] for name in FIELDS},
        own=_sources(version),
        format=version.get("format"),
        inline_css=version["inline_css"],
        variables=version["variables"],
        version_metadata=version["metadata"],
        translations={
            language: _sources(text) for language, text in version["translations"].items()
        },
    )


def normal(variables: list[Any]) -> list[dict[str, Any]]:
    """Return declared variables in their normal form; they must be valid."""
    return [
        Variable.model_validate({"name": each} if isinstance(each, str) else each).stored()
        for each in variables
    ]


def _sources(text: Mapping[str, Any]) -> Sources:
    return Sources(text.get("subject"), text["body"], text.get("text"), text.get("preheader"))
