"""``render.one``: from a stored template and values to the finished parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.queries import partials, sources
from db.queries.sources import Source, Translated
from tasks import facts
from tasks.errors import (
    LanguageNotFound,
    TemplateInactive,
    TemplateNotFound,
    VariablesInvalid,
    VersionNotFound,
)
from tasks.messages.render import RenderBatch, RenderOne
from tasks.rendering.frames import decode, encode
from tasks.rendering.languages import Choice, choose
from tasks.rendering.texts import Sources, Text, declaring, text_of
from tasks.rendering.variables import Bound, Schema, schema_of
from tasks.services.partials import Library
from tasks.services.refusals import named, with_places
from tasks.work import Answer, Lookup


@dataclass(frozen=True, slots=True)
class Localized:
    """Text of a version in the language selected for a request."""

    choice: Choice
    text: Text
    is_stale: bool


class VersionTexts:
    """The version that a message asks for, and its texts, each read once.

    Raises
    ------
    TemplateNotFound, TemplateInactive, VersionNotFound
        The template, or a partial of an old version, cannot be used.
    """

    def __init__(self, message: RenderOne | RenderBatch, work: Lookup) -> None:
        self._message = message
        self._connection = work.connection
        self._default_language = work.configuration.default_language
        self._localized: dict[str | None, Localized] = {}
        self._source = self._find(message.version)
        self._library = self._read_library()
        while (problem := self._library.missing()) is not None:
            # A partial that the current version uses is not deleted: this one is current no more.
            before, self._source = self._source, self._find(message.version)
            if before.version_id == self._source.version_id:
                raise problem
            self._library = self._read_library()
        schema = schema_of(self._source.variables)
        beyond = self._library.beyond(schema.declared)
        self._schema = Schema([*schema.declared, *beyond]) if beyond else schema

    @property
    def facts(self) -> dict[str, str]:
        """Facts of a refusal for logs and metrics."""
        return {"type": str(self._source.type), "version": str(self._source.version)}

    @property
    def identity(self) -> dict[str, Any]:
        """Members of a result that identify the version."""
        return {
            "template_id": self._message.template_id,
            "version": self._source.version,
            "version_id": str(self._source.version_id),
            "type": self._source.type,
        }

    def in_language(self, requested: str | None) -> Localized:
        """Return the text for a request.

        Raises
        ------
        LanguageNotFound
            The fallback is ``strict``, and the version does not have the language.
        """
        if requested not in self._localized:
            self._localized[requested] = self._localize(requested)
        return self._localized[requested]

    def bound(self, values: Mapping[str, Any], localized: Localized) -> Bound:
        """Return values with their defaults.

        Raises
        ------
        VariablesInvalid
            They do not fit the version's variables.
        """
        bound, problems = self._schema.bind(values)
        if problems:
            version, template = self._source.version, self._message.template_id
            raise VariablesInvalid.of(
                f"the variables do not match version '{version}' of '{template}'{named(problems)}",
                with_places(problems, localized.text),
            )
        return bound

    def about_request(
        self, requested: str | None, localized: Localized, bound: Bound
    ) -> dict[str, Any]:
        """Return the members of a result about language and values."""
        return {
            "requested_language": requested,
            "language": localized.choice.language,
            "language_reason": localized.choice.reason,
            "fallback_chain": list(localized.choice.chain),
            "partials": self._library.used(localized.text["partials"]),
            "stale": localized.is_stale,
            "defaulted": bound.defaulted,
            "unused": bound.unused,
        }

    def _find(self, version: str | None) -> Source:
        template_id, language = self._message.template_id, self._message.language
        source = sources.find(self._connection, template_id, version, language)
        if source is None:
            raise TemplateNotFound.named(template_id)
        if not source.is_active:
            raise TemplateInactive.named(template_id)
        if source.version_id is None:
            raise VersionNotFound.named(template_id, version)
        return source

    def _read_library(self) -> Library:
        language = self._message.language
        assert self._source.version_id is not None  # noqa: S101 - for the type checker: _find saw to it
        used = (
            partials.of_version(self._connection, self._source.version_id, language)
            if self._source.has_partials
            else []
        )
        return Library(self._connection, used, self._default_language, language)

    def _localize(self, requested: str | None) -> Localized:
        own = self._source.language or self._default_language
        while True:
            source = self._source
            languages = tuple(source.languages)
            choice = choose(requested, languages, own, self._message.fallback)
            if choice is None:
                raise LanguageNotFound.named("language", str(requested), [own, *languages])
            stored = self._text(choice)
            if stored is not None:
                break
            # The translation was deleted between the two queries: read again.
            self._source = self._find(source.version)
        texts, is_stale = stored
        strict = self._message.fallback == "strict"
        partials = self._library.in_language(choice.language, sources=texts.given(), strict=strict)
        text = text_of(source.type, choice.language, texts, partials)
        return Localized(choice, declaring(text, self._schema), is_stale)

    def _text(self, choice: Choice) -> tuple[Sources, bool] | None:
        """Return the sources, and whether they are stale.

        A translation without a subject has the version's.
        """
        source = self._source
        if choice.is_source:
            return Sources.of(source), False
        stored: Translated | None
        if choice.language == self._message.language and source.translated_body is not None:
            stored = Translated(
                source.translated_subject,
                source.translated_body,
                source.translated_text,
                source.translated_preheader,
                is_stale=bool(source.is_stale),
            )
        else:
            assert source.version_id is not None  # noqa: S101 - for the type checker: _find saw to it
            stored = sources.translation(self._connection, source.version_id, choice.language)
            if stored is None:
                return None
        subject = stored.subject if stored.subject is not None else source.subject
        return Sources(subject, stored.body, stored.text, stored.preheader), stored.is_stale


def render(message: RenderOne, work: Lookup) -> Answer:
    """Render a template in the language nearest to the one asked for.

    Returns what :class:`tasks.messages.render.Rendered` describes.
    """
    version = VersionTexts(message, work)
    with facts.known(**version.facts):
        localized = version.in_language(message.language)
        bound = version.bound(message.variables, localized)
        parts = work.runtime.renderer.rendered(localized.text, encode(bound.values))
    about = version.identity | version.about_request(message.language, localized, bound)
    # The render process answers in JSON, and so is the result: joined, it is not encoded again.
    return Answer(about | decode(parts), (encode(about)[:-1], b",", parts[1:]))
