"""``translation.upsert`` and ``translation.delete``."""

from db.queries import translations
from db.queries.translations import Written
from tasks.errors import LanguageNotFound, TooLarge
from tasks.messages.translations import (
    DeletedTranslation,
    DeleteTranslation,
    Translation,
    UpsertedTranslation,
    UpsertTranslation,
)
from tasks.rendering.texts import Sources
from tasks.services import graph
from tasks.services.expectations import require_expected
from tasks.services.formats import formatted
from tasks.services.gate import Gate
from tasks.services.outputs import require_other_language, require_parts
from tasks.services.templates import locked_template
from tasks.services.versions import existing_version
from tasks.work import Work


def upsert(message: UpsertTranslation, work: Work) -> UpsertedTranslation:
    """Write one language of a version, once its text has passed the gate."""
    template = locked_template(work, message.template_id)
    current = require_expected(message, work, template)
    version = existing_version(work, template, message.version, current=current)
    rendered = version.inlined_body if version.format is not None else None
    mine = Sources.of(version)._replace(body=rendered or version.body)
    its = Sources.of(message)
    require_parts(template.type, [("", its)])
    language = message.language_code
    html = formatted(version.format, {"": its}, work.runtime.renderer, work.configuration.limits)
    gate, candidates = Gate.of(work, template, [*mine.given(), *html.texts[""].given()])
    present = [other for other, _ in translations.states(work.session, [version.id])[version.id]]
    require_other_language(language, candidates.language(version.info), present)
    stored = candidates.stored(mine, version.info)
    with html.places():
        candidate = candidates.translation(stored, language, html.texts[""], "")
        own, other = gate.compile([stored, candidate])
        gate.compare(own, [other], version.variables)
        as_sent = other
        if version.inline_css:
            (other,) = gate.inline([other])
        gate.try_out([other], version.variables)
    warned = gate.adviser().texts([as_sent], [other], version.variables)
    body = other.candidate.text["body"] if version.is_rendered_otherwise else None
    written = translations.upsert(
        work.connection,
        version.id,
        language,
        Written(*its, inlined=body),
    )
    limit = work.configuration.limits.translations
    if written.is_new and len(present) >= limit:
        problem = f"version '{version.version}' has {limit} translations, which is the limit"
        raise TooLarge.at("language_code", "too_large", problem)
    graph.store_uses(work, version)
    return UpsertedTranslation(
        translation=Translation(
            template_id=message.template_id,
            version=version.version,
            version_id=str(version.id),
            language_code=language,
            **its._asdict(),
            state="current",
            created_at=written.created_at,
            updated_at=written.updated_at,
        ),
        created=written.is_new,
        warnings=html.placed(warned),
    )


def delete(message: DeleteTranslation, work: Work) -> DeletedTranslation:
    """Remove one language of a version."""
    template = locked_template(work, message.template_id)
    current = require_expected(message, work, template)
    version = existing_version(work, template, message.version, current=current)
    if not translations.remove(work.session, version.id, message.language_code):
        available = translations.states(work.session, [version.id])[version.id]
        raise LanguageNotFound.named(
            "language_code", message.language_code, [language for language, _ in available]
        )
    graph.store_uses(work, version)
    return DeletedTranslation(
        template_id=message.template_id,
        version=version.version,
        language_code=message.language_code,
    )
