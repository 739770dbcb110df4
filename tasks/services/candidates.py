"""Texts of a version in the publish gate, before and after compilation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tasks.errors import Problem
from tasks.rendering.outputs import is_html
from tasks.rendering.texts import PARTS, Sources, Text, text_of
from tasks.services.partials import Library


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that is to be stored, or a stored one that another is compared with.

    ``prefix`` leads to it in the message: empty for a version's own text, else
    ``translations.fr.``. ``has_subject`` is false for a translation without a subject of its own,
    whose text has the version's.
    """

    prefix: str
    text: Text
    has_subject: bool = True
    is_stored: bool = False

    def sources(self) -> Iterator[tuple[str, str, bool]]:
        """Yield path, source and whether it is HTML, of each source but an inherited subject."""
        for part in PARTS:
            source = self.text.get(part)
            if isinstance(source, str) and (part != "subject" or self.has_subject):
                yield f"{self.prefix}{part}", source, part == "body" and is_html(self.text["type"])

    def with_body(self, body: str) -> "Candidate":
        """Return the candidate with another body, which is the one to render."""
        return replace(self, text=Text(**{**self.text, "body": body}))


@dataclass(frozen=True, slots=True)
class Compiled:
    """A candidate with the placeholders of each path and the problems of its sources.

    A source that does not compile has None for placeholders.
    """

    candidate: Candidate
    placeholders: Mapping[str, Sequence[str] | None]
    problems: Sequence[Problem]

    def compiles(self) -> bool:
        """Return whether all sources compile."""
        return None not in self.placeholders.values()

    def loops(self) -> bool:
        """Return whether a source may go through an array."""
        return any("for" in source for _, source, _ in self.candidate.sources())

    def names(self, own: "Compiled") -> set[str]:
        """Return the placeholders of all parts together.

        ``own`` is the version's own text, whose subject a translation without one has.
        """
        lists = list(self.placeholders.values())
        if not self.candidate.has_subject:
            lists.append(own.placeholders.get(f"{own.candidate.prefix}subject"))
        return {name for names in lists for name in names or ()}


class Candidates:
    """Factory of candidates from a template's sources, with their partials by language."""

    def __init__(self, template_type: str, default_language: str, library: Library) -> None:
        self._type = template_type
        self._default_language = default_language
        self._library = library

    def own(self, sources: Sources, metadata: Mapping[str, Any]) -> Candidate:
        """Return the version's own text; ``metadata`` is the version's."""
        return Candidate("", self._text(self.language(metadata), sources))

    def stored(self, sources: Sources, metadata: Mapping[str, Any]) -> Candidate:
        """Return the own text of a stored version, which a new translation is compared with."""
        text = self._text(self.language(metadata), sources)
        return Candidate("version.", text, is_stored=True)

    def translation(
        self, own: Candidate, language: str, sources: Sources, prefix: str
    ) -> Candidate:
        """Return a translation; without a subject it gets the version's."""
        inherited = own.text["subject"]
        has_subject = sources.subject is not None or inherited is None
        effective = sources if has_subject else sources._replace(subject=inherited)
        return Candidate(prefix, self._text(language, effective), has_subject)

    def language(self, metadata: Mapping[str, Any]) -> str:
        """Return the language of a version's own text; ``metadata`` is the version's."""
        language: str = metadata.get("language", self._default_language)
        return language

    def _text(self, language: str, sources: Sources) -> Text:
        return text_of(self._type, language, sources, self._library.in_language(language))
