"""``version.activate`` and ``version.list``."""

from db import models
from db.queries import translations, versions
from db.queries.versions import VersionRow
from tasks.errors import VersionConflict, VersionNotFound
from tasks.messages.versions import (
    ActivatedVersion,
    ActivateVersion,
    ListVersions,
    TranslationState,
    VersionList,
    VersionSummary,
)
from tasks.services import graph, views
from tasks.services.templates import existing, locked_template
from tasks.work import Work


def existing_version(
    work: Work, template: models.Template, name: str | None, path: str = "version"
) -> VersionRow:
    """Return a version of a template, the current one for None.

    Raises
    ------
    VersionNotFound
        There is none; ``path`` is where the message names it.
    """
    version = versions.find(work.session, template.id, name)
    if version is None:
        raise VersionNotFound.named(template.template_id, name, path)
    return version


def require_expected(template_id: str, expected: str | None, current: VersionRow | None) -> None:
    """Make sure that the current version is the one that a producer expects, if any.

    Raises
    ------
    VersionConflict
        It is another one, or there is none.
    """
    actual = current.version if current is not None else None
    if expected is not None and expected != actual:
        raise VersionConflict.between(template_id, expected, actual)


def activate(message: ActivateVersion, work: Work) -> ActivatedVersion:
    """Make a version current."""
    template = locked_template(work, message.template_id)
    previous = versions.find(work.session, template.id, None)
    require_expected(message.template_id, message.expected_version, previous)
    version = existing_version(work, template, message.version)
    if not version.is_current:
        graph.use_again(work, template, version)
        versions.make_current(work.session, template.id, version.id)
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
