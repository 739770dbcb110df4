"""What messages do to translations."""

from db import models
from db.queries import translations, versions
from tasks.errors import LanguageNotFound, TooLarge, VersionNotFound
from tasks.messages.translations import (
    DeletedTranslation,
    DeleteTranslation,
    UpsertedTranslation,
    UpsertTranslation,
)
from tasks.messages.versions import Variable
from tasks.services import graph, views
from tasks.services.templates import locked_template
from tasks.services.texts import Texts
from tasks.work import Work


def upsert(message: UpsertTranslation, work: Work) -> UpsertedTranslation:
    """Write one language of a version, once its text has passed the gate."""
    template = locked_template(work, message.template_id)
    version = _version(work, template, message.version)
    _through_the_gate(message, template, version, work)
    row, created = translations.upsert(
        work.session, version.id, message.language_code, message.subject, message.body
    )
    limit = work.configuration.limits.translations
    if created and translations.count(work.session, version.id) > limit:
        problem = f"version '{version.version}' has {limit} translations, which is the limit"
        raise TooLarge.of(
            problem, [{"path": "language_code", "type": "too_large", "message": problem}]
        )
    graph.store_uses(work, version)
    return UpsertedTranslation(
        translation=views.translation(row, message.template_id, version), created=created
    )


def delete(message: DeleteTranslation, work: Work) -> DeletedTranslation:
    """Remove one language of a version."""
    template = locked_template(work, message.template_id)
    version = _version(work, template, message.version)
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


def _through_the_gate(
    message: UpsertTranslation,
    template: models.Template,
    version: models.TemplateVersion,
    work: Work,
) -> None:
    sources = [version.subject, version.body, message.subject, message.body]
    texts = Texts(work, template, graph.library(work, sources))
    own = texts.own(version.subject, version.body, version.info, "version.")
    other = texts.translation(own, message.language_code, message.subject, message.body, "")
    declared = [Variable.model_validate(variable) for variable in version.variables]
    texts.gate.check(own, [other], declared, own_is_new=False)


def _version(work: Work, template: models.Template, name: str | None) -> models.TemplateVersion:
    version = versions.find(work.session, template.id, name)
    if version is None:
        raise VersionNotFound.named(template.template_id, name)
    return version
