"""Conditions of writes: the template must be as the producer has read it."""

from db.queries import translations, versions
from db.queries.templates import TemplateRow
from db.queries.versions import VersionRow
from tasks.errors import VersionConflict
from tasks.messages.base import Conditions
from tasks.rendering.digests import template_digest, version_digest
from tasks.services.views import contents, own_fields
from tasks.work import Work


def require_expected(message: Conditions, work: Work, template: TemplateRow) -> VersionRow | None:
    """Return the current version; refuse if it is not the one that the message expects.

    Raises
    ------
    VersionConflict
        The version differs or does not exist, or the template was changed otherwise.
    """
    current = versions.find(work.session, template.id, None)
    if not meets(message.expected_version, current):
        assert message.expected_version is not None  # noqa: S101 - for the type checker
        raise VersionConflict.between(
            template.template_id,
            message.expected_version,
            current.version if current is not None else None,
        )
    if message.expected_digest is not None:
        actual = stored_digest(work, template, current)
        if actual != message.expected_digest:
            raise VersionConflict.of_digests(
                template.template_id,
                message.expected_digest,
                actual,
                current.version if current is not None else None,
                "expected_digest",
            )
    return current


def meets(expected: str | int | None, current: VersionRow | None) -> bool:
    """Return whether the current version is the expected one; None expects nothing."""
    return expected is None or expected == (0 if current is None else current.version)


def stored_digest(work: Work, template: TemplateRow, current: VersionRow | None) -> str:
    """Return the digest of a template with its current version."""
    digest = None if current is None else stored_version_digest(work, current)
    return template_digest(own_fields(template), digest)


def stored_version_digest(work: Work, version: VersionRow) -> str:
    """Return the digest of a version with its translations."""
    return version_digest(contents(version, translations.texts(work.session, version.id)))


def schedule_condition(expected: str | int | None) -> str | None:
    """Return an expected version in the form stored with a schedule: empty for none."""
    return "" if expected == 0 else None if expected is None else str(expected)


def expected_of(condition: str | None) -> str | int | None:
    """Return the expected version of a schedule, as a message has it."""
    return 0 if condition == "" else condition
