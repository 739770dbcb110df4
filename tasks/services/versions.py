"""What messages do to versions."""

from db import models
from db.queries import partials, translations, versions
from db.session import driver_connection
from tasks.errors import BreakingChange, Problem, VersionConflict, VersionExists, VersionNotFound
from tasks.messages.versions import (
    ActivatedVersion,
    ActivateVersion,
    CarriedTranslations,
    Change,
    ListVersions,
    PublishedVersion,
    PublishVersion,
    TranslationState,
    VersionList,
    VersionSummary,
)
from tasks.rendering.changes import breaking_changes
from tasks.rendering.partials import every_block
from tasks.services import graph, views
from tasks.services.gate import Stored
from tasks.services.templates import existing, locked_template
from tasks.services.texts import Texts
from tasks.work import Work


def publish(message: PublishVersion, work: Work) -> PublishedVersion:
    """Insert a version and make it current, once its texts have passed the gate."""
    session = work.session
    partials.lock_graph(driver_connection(session), message.template_id)
    template = existing(work, message.template_id)
    # The gate renders, so it comes before the lock that other publishes of the template wait for;
    # a template's type never changes.
    variables = _through_the_gate(message, template, work)

    template = existing(work, message.template_id, lock=True)
    previous = versions.find(session, template.id, None)
    _expect(message.template_id, message.expected_version, previous)
    breaking = _breaking(message, template, previous, variables, work)
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
    carried = _carry(message, template, previous, version, work)
    graph.store_uses(work, version)
    if message.activate:
        versions.make_current(session, version)
    return PublishedVersion(
        template_id=message.template_id,
        version=version.version,
        version_id=str(version.id),
        previous_version=previous.version if previous is not None else None,
        is_current=message.activate,
        variables=variables,
        translations=carried,
        breaking=[Change.model_validate(problem) for problem in breaking],
    )


def activate(message: ActivateVersion, work: Work) -> ActivatedVersion:
    """Make a version current."""
    template = locked_template(work, message.template_id)
    previous = versions.find(work.session, template.id, None)
    _expect(message.template_id, message.expected_version, previous)
    version = versions.find(work.session, template.id, message.version)
    if version is None:
        raise VersionNotFound.named(message.template_id, message.version)
    if not version.is_current:
        graph.use_again(work, template, version)
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


def _through_the_gate(message: PublishVersion, template: models.Template, work: Work) -> Stored:
    """Return the variables of the version."""
    given = message.translations
    sources = [message.subject, message.body]
    sources += [source for text in given.values() for source in (text.subject, text.body)]
    texts = Texts(work, template, graph.library(work, sources))
    own = texts.own(message.subject, message.body, message.metadata)
    others = [
        texts.translation(own, language, text.subject, text.body, f"translations.{language}.")
        for language, text in given.items()
    ]
    return texts.gate.check(own, others, message.variables)


def _carry(
    message: PublishVersion,
    template: models.Template,
    previous: models.TemplateVersion | None,
    version: models.TemplateVersion,
    work: Work,
) -> CarriedTranslations:
    """Take over the translations of the previous version that still fit."""
    rows = translations.texts(work.session, previous.id) if previous is not None else []
    rows = [row for row in rows if row.language_code not in message.translations]
    sources = [version.subject, version.body]
    sources += [source for row in rows for source in (row.subject, row.body)]
    texts = Texts(work, template, graph.library(work, sources), len(rows))
    own = texts.own(version.subject, version.body, version.info)
    changed = previous is not None and (previous.subject, previous.body) != (
        version.subject,
        version.body,
    )
    found = CarriedTranslations(carried=[], stale=[], dropped=[])
    left = work.configuration.limits.translations - len(message.translations)
    for row in rows:
        language = row.language_code
        other = texts.translation(own, language, row.subject, row.body, f"{language}.")
        if (
            not message.carry_translations
            or language == own.text["language"]
            or len(found.carried) >= left
            or not texts.gate.fits(own, other, version.variables)
        ):
            found.dropped.append(language)
            continue
        is_stale = row.is_stale or changed
        translations.carry(work.session, version.id, row, is_stale=is_stale)
        found.carried.append(language)
        if is_stale:
            found.stale.append(language)
    return found


def _breaking(
    message: PublishVersion,
    template: models.Template,
    previous: models.TemplateVersion | None,
    variables: Stored,
    work: Work,
) -> list[Problem]:
    """Return what breaks producers of the current version, where the message lets it pass.

    Raises
    ------
    BreakingChange
        The message does not.
    """
    if previous is None:
        return []
    found = breaking_changes(previous.variables, variables)
    if template.type == "partial":
        found += _lost_blocks(previous.body, message.body)
    if found and not message.allow_breaking:
        users = graph.users(work, template)
        by = f" (used by {', '.join(users)})" if users else ""
        raise BreakingChange.of(
            f"the version breaks producers of version '{previous.version}' of "
            f"'{message.template_id}'{by}; allow_breaking lets it pass",
            found,
        )
    return found


def _lost_blocks(before: str, after: str) -> list[Problem]:
    """Return a problem for each block of a layout whose words would not be shown any more."""
    return [
        {"path": "body", "type": "block_gone", "message": f"block '{name}' is gone"}
        for name in sorted(every_block(before) - every_block(after))
    ]
