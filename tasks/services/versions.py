"""What messages do to versions."""

from db import models
from db.queries import translations, versions
from tasks.base import Work
from tasks.errors import VersionConflict, VersionExists, VersionNotFound
from tasks.messages.versions import (
    ActivatedVersion,
    ActivateVersion,
    CarriedTranslations,
    ListVersions,
    PublishedVersion,
    PublishVersion,
    Text,
    TranslationState,
    VersionList,
    VersionSummary,
)
from tasks.services import views
from tasks.services.gate import pass_gate, sources_of
from tasks.services.templates import existing


def publish(message: PublishVersion, work: Work) -> PublishedVersion:
    """Insert a version and make it current, once its sources have passed the gate."""
    session = work.session
    # The gate renders, so it comes before the lock that other publishes of the template wait for;
    # a template's type never changes.
    template = existing(work, message.template_id)
    text = Text.model_construct(subject=message.subject, body=message.body)
    sources = sources_of(template.type, text, message.translations)
    variables = pass_gate(work.runtime.renderer, sources, message.variables)

    template = existing(work, message.template_id, lock=True)
    previous = versions.find(session, template.id, None)
    _expect(message.template_id, message.expected_version, previous)
    version = versions.add(
        session,
        template_id=template.id,
        version=message.version or versions.next_number(session, template.id),
        subject=message.subject,
        body=message.body,
        variables=variables,
        info=message.metadata,
    )
    if version is None:
        raise VersionExists.named(message.template_id, str(message.version))
    for language, translation in message.translations.items():
        translations.upsert(session, version.id, language, translation.subject, translation.body)
    if message.activate:
        versions.make_current(session, version)
    return PublishedVersion(
        template_id=message.template_id,
        version=version.version,
        version_id=str(version.id),
        previous_version=previous.version if previous is not None else None,
        is_current=message.activate,
        variables=variables,
        translations=_left_behind(work, previous, set(message.translations)),
        breaking=[],
    )


def activate(message: ActivateVersion, work: Work) -> ActivatedVersion:
    """Make a version current."""
    template = existing(work, message.template_id, lock=True)
    previous = versions.find(work.session, template.id, None)
    _expect(message.template_id, message.expected_version, previous)
    version = versions.find(work.session, template.id, message.version)
    if version is None:
        raise VersionNotFound.named(message.template_id, message.version)
    if not version.is_current:
        versions.make_current(work.session, version)
    return ActivatedVersion(
        template_id=message.template_id,
        version=version.version,
        version_id=str(version.id),
        previous_version=previous.version if previous is not None else None,
    )


def listed(message: ListVersions, work: Work) -> VersionList:
    """Return every version of a template, the newest first, without sources."""
    template = existing(work, message.template_id)
    rows = versions.newest_first(work.session, template.id)
    states = translations.states(work.session, [row.id for row in rows])
    return VersionList(
        template_id=message.template_id,
        versions=[
            VersionSummary(
                version=row.version,
                version_id=str(row.id),
                is_current=row.is_current,
                created_at=row.created_at,
                languages=[
                    TranslationState(language=language, state=views.state(is_stale=is_stale))
                    for language, is_stale in states[row.id]
                ],
            )
            for row in rows
        ],
    )


def _expect(template_id: str, expected: str | None, current: models.TemplateVersion | None) -> None:
    found = current.version if current is not None else None
    if expected is not None and expected != found:
        raise VersionConflict.between(template_id, expected, found)


def _left_behind(
    work: Work, previous: models.TemplateVersion | None, given: set[str]
) -> CarriedTranslations:
    """Return which languages of the previous version the new one has not."""
    before = translations.states(work.session, [previous.id])[previous.id] if previous else []
    dropped = [language for language, _ in before if language not in given]
    return CarriedTranslations(carried=[], stale=[], dropped=dropped)
