"""From a stored template and values to a finished text."""

from typing import TYPE_CHECKING, cast

from db.queries import sources
from db.queries.sources import Source
from tasks.base import Lookup
from tasks.errors import (
    LanguageNotFound,
    TemplateInactive,
    TemplateNotFound,
    VariablesInvalid,
    VersionNotFound,
)
from tasks.messages.render import Rendered, RenderOne
from tasks.rendering.languages import Choice, choose
from tasks.rendering.outputs import is_html, sha256
from tasks.rendering.variables import bind

if TYPE_CHECKING:
    from tasks.messages.fields import TemplateType


def render(message: RenderOne, work: Lookup) -> Rendered:
    """Render a template in the language nearest to the one asked for."""
    source, choice, subject, body = _text(message, work)
    bound, problems = bind(source.variables, message.variables)
    if problems:
        raise VariablesInvalid.of(
            f"the variables do not fit version '{source.version}' of '{message.template_id}'",
            problems,
        )
    subject, body = work.runtime.renderer.render(
        subject, body, bound.values, html=is_html(source.type)
    )
    return Rendered.model_construct(
        template_id=message.template_id,
        version=source.version,
        version_id=str(source.version_id),
        type=cast("TemplateType", source.type),
        requested_language=message.language,
        language=choice.language,
        fallback_chain=list(choice.chain),
        subject=subject,
        body=body,
        defaulted=bound.defaulted,
        unused=bound.unused,
        content_sha256=sha256(subject, body),
    )


def _text(message: RenderOne, work: Lookup) -> tuple[Source, Choice, str | None, str]:
    """Return the source of a version with subject and body in the language chosen."""
    while True:
        source = sources.find(
            work.connection, message.template_id, message.version, message.language
        )
        if source is None:
            raise TemplateNotFound.named(message.template_id)
        if not source.is_active:
            raise TemplateInactive.named(message.template_id)
        if source.version_id is None:
            raise VersionNotFound.named(message.template_id, message.version)
        own = source.language or work.configuration.default_language
        choice = choose(message.language, tuple(source.languages), own, message.fallback)
        if choice is None:
            raise LanguageNotFound.named(
                "language", str(message.language), [own, *source.languages]
            )
        if choice.is_source:
            return source, choice, source.subject, source.body
        if choice.language == message.language and source.translated_body is not None:
            return (
                source,
                choice,
                _first(source.translated_subject, source.subject),
                source.translated_body,
            )
        nearest = sources.translation(work.connection, source.version_id, choice.language)
        if nearest is not None:
            subject, body = nearest
            return source, choice, _first(subject, source.subject), body
        # The translation was deleted between the two queries: look again.


def _first(translated: str | None, own: str | None) -> str | None:
    """Return the translation's subject, which is the version's where it has none."""
    return translated if translated is not None else own
