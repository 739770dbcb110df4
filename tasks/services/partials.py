"""Partials of a version, and their texts in the language of a render."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg

from db.queries import partials
from db.queries.partials import Partial
from tasks.errors import LanguageNotFound, TemplateInactive, TemplateNotFound
from tasks.rendering.languages import choose
from tasks.rendering.texts import PartialText
from tasks.rendering.variables import Declared, covered, needed

Needs = Mapping[str, Mapping[str, Declared]]
"""The variables that partials must be given, by template_id and name."""

# Renders have no time for the lexer. What this matches beyond it, in a comment say, does no harm:
# only loaded partials are reported and handed on.
_USE: Final = re.compile(r"""\{%[-+]?\s*(?:include|extends)\s+["']([^"']*)""")


class Library:
    """Partials that are loaded, and their texts.

    Parameters
    ----------
    connection
        Connection that reads translations; None if :meth:`read_bodies` is overridden.
    loaded
        Every partial, including the partials that partials use.
    default_language
        The language of a partial's own text where its version does not say.
    language
        That in which ``loaded`` has translated bodies.
    """

    def __init__(
        self,
        connection: psycopg.Connection | None,
        loaded: Iterable[Partial],
        default_language: str,
        language: str | None = None,
    ) -> None:
        self._connection = connection
        self._partials = {partial.template_id: partial for partial in loaded}
        self._default_language = default_language
        self._bodies: dict[tuple[Any, str], str] = {
            (partial.version_id, language): partial.translated_body
            for partial in self._partials.values()
            if language is not None and partial.translated_body is not None
        }

    def __contains__(self, template_id: str) -> bool:
        """Return whether a partial can be included: it is active and has a version."""
        partial = self._partials.get(template_id)
        return (
            partial is not None
            and partial.type == "partial"
            and partial.is_active
            and not partial.is_deleted
            and partial.version_id is not None
        )

    def body(self, template_id: str) -> str:
        """Return a partial's own text."""
        return self._partials[template_id].body

    @property
    def uses(self) -> dict[str, Sequence[str]]:
        """The template_ids of the partials that each partial uses."""
        return {name: partial.uses for name, partial in self._partials.items()}

    def missing(self, names: Iterable[str] = ()) -> TemplateNotFound | TemplateInactive | None:
        """Return the error of a partial that cannot be used, or None.

        It concerns versions that were published while the partial could be used.
        ``names`` are the required partials; some may have been purged since.
        """
        for name in sorted({*self._partials, *names}):
            if name not in self:
                partial = self._partials.get(name)
                is_off = partial is not None and not (partial.is_active or partial.is_deleted)
                return (TemplateInactive if is_off else TemplateNotFound).named(name)
        return None

    def in_language(
        self, language: str, *, sources: Iterable[str] | None = None, strict: bool = False
    ) -> dict[str, PartialText]:
        """Return the text of each partial in the language nearest to the render's.

        A partial without translations is used for every language, such as a layout.

        Parameters
        ----------
        language
            Language of the render.
        sources
            The text that is rendered: only its partials and theirs are returned, for other
            languages may have others. None has all returned.
        strict
            Whether a partial that has translations must have that one.

        Raises
        ------
        LanguageNotFound
            With ``strict``, a partial has translations and none in ``language``.
        """
        languages = {
            name: self._language_for(partial, language) for name, partial in self._partials.items()
        }
        wanted = {
            (partial.version_id, languages[name])
            for name, partial in self._partials.items()
            if partial.version_id is not None and languages[name] in partial.languages
        }
        if missing := wanted - self._bodies.keys():
            self._bodies |= self.read_bodies(missing)
        texts = {
            name: self._text(partial, languages[name]) for name, partial in self._partials.items()
        }
        if sources is not None:
            texts = _reached(sources, texts)
        for name in texts if strict else ():
            self._require(self._partials[name], language)
        return texts

    def used(self, texts: Mapping[str, PartialText]) -> list[dict[str, str]]:
        """Return the members of a result about the partials of its text."""
        return [
            {
                "template_id": name,
                "version": self._partials[name].version,
                "language": text["language"],
            }
            for name, text in texts.items()
        ]

    def needs(self, placeholders: Callable[[str, Needs], Collection[str]]) -> Needs:
        """Return for each partial the variables that it must be given, by their names.

        These are its own, and the variables that its partials have needed since it was published,
        unless it gives them a value itself, as a loop does: ``placeholders`` returns the
        placeholders of a source and of its partials.
        """
        needs: dict[str, Mapping[str, Declared]] = {}
        for name in self._partials:
            self._find_needs(name, needs, placeholders)
        return needs

    def undeclared(self, declared: Iterable[str]) -> list[Declared]:
        """Return the variables of partials that ``declared`` does not name, as declared there."""
        names = set(declared)
        undeclared: dict[str, Declared] = {}
        for partial in self._partials.values():
            for variable in partial.variables or ():
                if not covered(variable["name"], names):
                    undeclared.setdefault(variable["name"], variable)
        return list(undeclared.values())

    def with_undeclared(self, variables: Sequence[Declared]) -> list[Declared]:
        """Return variables, with those that only partials declare or use."""
        return [*variables, *self.undeclared(variable["name"] for variable in variables)]

    def beyond(self, declared: Sequence[Declared]) -> list[Declared]:
        """Return the variables of partials that a version does not declare, for its renders.

        A partial may have come to use them after the version was published. None is required: what
        a loop around the partial provides cannot be distinguished from what the producer must give,
        and the engine refuses a name without a value.
        """
        return [
            {key: variable[key] for key in ("name", "default") if key in variable}
            | {"type": "any", "required": False}
            for variable in self.undeclared(variable["name"] for variable in declared)
        ]

    def _find_needs(
        self,
        name: str,
        known: dict[str, Mapping[str, Declared]],
        placeholders: Callable[[str, Needs], Collection[str]],
    ) -> Mapping[str, Declared]:
        """Return the needs of a partial; add them and its own partials' needs to ``known``."""
        if name not in known:
            partial = self._partials.get(name)
            variables = () if partial is None else partial.variables or ()
            own = {variable["name"]: variable for variable in variables}
            uses = () if partial is None else partial.uses
            below = {used: self._find_needs(used, known, placeholders) for used in uses}
            later = {
                need: variable
                for needs in below.values()
                for need, variable in needs.items()
                if not covered(need, set(own))
            }
            asked = placeholders(self.body(name), below) if later else ()
            known[name] = {need: variable for need, variable in own.items() if needed(variable)} | {
                need: variable for need, variable in later.items() if need in asked
            }
        return known[name]

    def read_bodies(self, wanted: Collection[tuple[Any, str]]) -> dict[tuple[Any, str], str]:
        """Return the translated bodies of pairs of version and language; others are left out."""
        assert self._connection is not None  # noqa: S101 - for the type checker
        return partials.bodies(self._connection, wanted)

    def _language_for(self, partial: Partial, language: str) -> str:
        choice = choose(language, tuple(partial.languages), self._own(partial), "closest")
        assert choice is not None  # noqa: S101 - for the type checker: some language is the closest
        return choice.language

    def _require(self, partial: Partial, language: str) -> None:
        own, languages = self._own(partial), partial.languages
        if languages and choose(language, tuple(languages), own, "strict") is None:
            path = f"partials.{partial.template_id}"
            raise LanguageNotFound.named(path, language, [own, *languages])

    def _text(self, partial: Partial, language: str) -> PartialText:
        body = self._bodies.get((partial.version_id, language))
        if body is not None:
            return PartialText(language=language, body=body)
        # The partial's own text was chosen, or the translation was deleted meanwhile.
        return PartialText(language=self._own(partial), body=partial.body or "")

    def _own(self, partial: Partial) -> str:
        return partial.language or self._default_language


def _reached(sources: Iterable[str], texts: Mapping[str, PartialText]) -> dict[str, PartialText]:
    """Return the partials of ``texts`` that sources use, directly or through other partials."""
    reached: set[str] = set()
    left = list(sources)
    while left:
        names = {name for source in left for name in _USE.findall(source) if name in texts}
        left = [texts[name]["body"] for name in names - reached]
        reached |= names
    return {name: text for name, text in texts.items() if name in reached}
