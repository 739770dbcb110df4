"""``version.activate``, ``version.unschedule`` and ``version.list``."""

from db.queries import translations, versions
from db.queries.templates import TemplateRow
from db.queries.versions import VersionRow
from tasks.errors import VersionNotFound
from tasks.messages.versions import (
    ActivatedVersion,
    ActivateVersion,
    ListVersions,
    TranslationState,
    UnscheduledVersion,
    UnscheduleVersion,
    VersionList,
    VersionSummary,
)
from tasks.services import graph, views
from tasks.services.code_users import bodies_of, require_safe_users
from tasks.services.expectations import require_expected, schedule_condition
from tasks.services.templates import existing, locked_template
from tasks.work import Work


def existing_version(
    work: Work,
    template: TemplateRow,
    name: str | None,
    path: str = "version",
    *,
    current: VersionRow | None = None,
) -> VersionRow:
    """Return a version of a template, the current one for None.

    ``current`` is the current version if it was read in this transaction, and is not read again.

    Raises
    ------
    VersionNotFound
        The version does not exist; ``path`` is where the message names it.
    """
    if current is not None and name in {None, current.version}:
        return current
    version = versions.find(work.session, template.id, name)
    if version is None:
        raise VersionNotFound.named(template.template_id, name, path)
    return version


def activate(message: ActivateVersion, work: Work) -> ActivatedVersion:
    """Make a version current, or say when it will be."""
    template = locked_template(work, message.template_id)
    previous = require_expected(message, work, template)
    version = existing_version(work, template, message.version, current=previous)
    if message.activate_at is not None:
        # What could not be activated now is refused now, while its sender reads the answer.
        graph.require_usable(work, template, version)
        expected = schedule_condition(message.expected_version)
        versions.schedule(work.session, version.id, message.activate_at, expected)
    else:
        make_current(work, template, version)
    return ActivatedVersion(
        template_id=message.template_id,
        version=version.version,
        version_id=str(version.id),
        previous_version=previous.version if previous is not None else None,
        activate_at=message.activate_at,
    )


def make_current(work: Work, template: TemplateRow, version: VersionRow) -> None:
    """Make a version of a locked template current; its schedule, if any, is deleted.

    Raises
    ------
    TemplateNotFound, TemplateInactive, TemplateSyntax, TooLarge
        As :func:`tasks.services.graph.use_again` and
        :func:`tasks.services.code_users.require_safe_users` do.
    """
    if version.is_current:
        versions.unschedule(work.session, version.id)
        return
    if template.type == "partial":
        current = versions.find(work.session, template.id, None)
        require_safe_users(work, template, bodies_of(work, version), current)
    graph.use_again(work, template, version)
    versions.make_current(work.session, template.id, version.id)


def unschedule(message: UnscheduleVersion, work: Work) -> UnscheduledVersion:
    """Forget when a version was to become current."""
    template = locked_template(work, message.template_id)
    version = existing_version(work, template, message.version)
    versions.unschedule(work.session, version.id)
    return UnscheduledVersion(
        template_id=message.template_id,
        version=version.version,
        cancelled=version.activate_at is not None,
        activate_at=version.activate_at,
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
                created_at=row.created_at,
                **views.activation(row),
                languages=[
                    TranslationState(language=language, state=views.state(is_stale=is_stale))
                    for language, is_stale in states[row.id]
                ],
            )
            for row in rows
        ],
    )
