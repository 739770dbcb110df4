"""``translation.upsert`` and ``translation.delete``."""

from db.queries import translations
from db.session import driver_connection
from tasks.errors import LanguageNotFound, TooLarge
from tasks.messages.translations import (
    DeletedTranslation,
    DeleteTranslation,
    Translation,
    UpsertedTranslation,
    UpsertTranslation,
)
from tasks.services import graph
from tasks.services.gate import Gate
from tasks.services.templates import locked_template
from tasks.services.versions import existing_version
from tasks.work import Work


def upsert(message: UpsertTranslation, work: Work) -> UpsertedTranslation:
    """Write one language of a version, once its text has passed the gate."""
    template = locked_template(work, message.template_id)
    version = existing_version(work, template, message.version)
    sources = [version.subject, version.body, message.subject, message.body]
    gate, candidates = Gate.of(work, template, sources)
    stored = candidates.stored(version.subject, version.body, version.info)
    own, other = gate.compile(
        [
            stored,
            candidates.translation(
                stored, message.language_code, message.subject, message.body, ""
            ),
        ]
    )
    gate.compare(own, [other], version.variables)
    gate.try_out([other], version.variables)
    adviser = gate.adviser()
    warned = [*adviser.sources([other]), *adviser.outputs([other], version.variables)]
    written = translations.upsert(
        driver_connection(work.session),
        version.id,
        message.language_code,
        message.subject,
        message.body,
    )
    limit = work.configuration.limits.translations
    if written.is_new and translations.count(work.session, version.id) > limit:
        problem = f"version '{version.version}' has {limit} translations, which is the limit"
        raise TooLarge.at("language_code", "too_large", problem)
    graph.store_uses(work, version)
    return UpsertedTranslation(
        translation=Translation(
            template_id=message.template_id,
            version=version.version,
            version_id=str(version.id),
            language_code=message.language_code,
            subject=message.subject,
            body=message.body,
            state="current",
            created_at=written.created_at,
            updated_at=written.updated_at,
        ),
        created=written.is_new,
        warnings=warned,
    )


def delete(message: DeleteTranslation, work: Work) -> DeletedTranslation:
    """Remove one language of a version."""
    template = locked_template(work, message.template_id)
    version = existing_version(work, template, message.version)
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
