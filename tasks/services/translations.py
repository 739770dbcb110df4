"""What messages do to translations."""

from db import models
from db.queries import translations, versions
from tasks.base import Work
from tasks.errors import LanguageNotFound, TooLarge, VersionNotFound
from tasks.messages.translations import (
    DeletedTranslation,
    DeleteTranslation,
    UpsertedTranslation,
    UpsertTranslation,
)
from tasks.messages.versions import Text, Variable
from tasks.services import views
from tasks.services.gate import pass_gate, sources_of
from tasks.services.templates import existing


def upsert(message: UpsertTranslation, work: Work) -> UpsertedTranslation:
    """Write one language of a version, once its text has passed the gate."""
    template = existing(work, message.template_id, lock=True)
    version = _version(work, template, message.version)
    text = Text.model_construct(subject=message.subject, body=message.body)
    declared = [Variable.model_validate(variable) for variable in version.variables]
    pass_gate(work.runtime.renderer, sources_of(template.type, text, {}), declared)
    row, created = translations.upsert(
        work.session, version.id, message.language_code, message.subject, message.body
    )
    limit = work.configuration.limits.translations
    if created and translations.count(work.session, version.id) > limit:
        problem = f"version '{version.version}' has {limit} translations, which is the limit"
        raise TooLarge.of(
            problem, [{"path": "language_code", "type": "too_large", "message": problem}]
        )
    return UpsertedTranslation(
        translation=views.translation(row, message.template_id, version), created=created
    )


def delete(message: DeleteTranslation, work: Work) -> DeletedTranslation:
    """Remove one language of a version."""
    template = existing(work, message.template_id, lock=True)
    version = _version(work, template, message.version)
    if not translations.remove(work.session, version.id, message.language_code):
        available = translations.states(work.session, [version.id])[version.id]
        raise LanguageNotFound.named(
            "language_code", message.language_code, [language for language, _ in available]
        )
    return DeletedTranslation(
        template_id=message.template_id,
        version=version.version,
        language_code=message.language_code,
    )


def _version(work: Work, template: models.Template, name: str | None) -> models.TemplateVersion:
    version = versions.find(work.session, template.id, name)
    if version is None:
        raise VersionNotFound.named(template.template_id, name)
    return version
