"""``template.*``: create, change, delete, restore, read."""

from typing import TYPE_CHECKING, cast

from db.queries import details as queries
from db.queries import partials, templates, versions
from db.queries.details import Details
from db.queries.templates import TemplateRow
from db.queries.versions import VersionRow
from tasks.errors import LanguageNotFound, TemplateExists, TemplateNotFound, VersionNotFound
from tasks.messages.templates import (
    CHANGEABLE,
    CreateTemplate,
    DeleteTemplate,
    GetTemplate,
    LanguageText,
    ListTemplates,
    PartialUser,
    RestoreTemplate,
    ScheduledVersion,
    Template,
    TemplateDetails,
    TemplatePage,
    UpdateTemplate,
)
from tasks.rendering.texts import Sources
from tasks.services import graph, views
from tasks.services.expectations import require_expected
from tasks.work import Lookup, Work

if TYPE_CHECKING:
    from tasks.messages.fields import TemplateType


_COLUMNS = {"metadata": "info"}
"""The attributes of a model whose names differ from the message's."""


def existing(
    work: Work, template_id: str, *, lock: bool = False, deleted: bool = False
) -> TemplateRow:
    """Return a template.

    Raises
    ------
    TemplateNotFound
        It does not exist, or it is soft-deleted and ``deleted`` is false.
    """
    row = templates.find(work.session, template_id, lock=lock, deleted=deleted)
    if row is None:
        raise TemplateNotFound.named(template_id)
    return row


def locked_template(work: Work, template_id: str, *, deleted: bool = False) -> TemplateRow:
    """Lock the graph of partials and then the row of a template; return the template.

    Always in this order, or two writes could wait for one another.

    Raises
    ------
    TemplateNotFound
        As :func:`existing` does.
    """
    partials.lock_graph(work.connection, template_id)
    return existing(work, template_id, lock=True, deleted=deleted)


def view(work: Work, row: TemplateRow) -> Template:
    """Return a template with the name of its current version."""
    current = versions.find(work.session, row.id, None)
    return views.template(row, current.version if current is not None else None)


def create(message: CreateTemplate, work: Work) -> Template:
    """Insert a template."""
    row = templates.add(
        work.session,
        template_id=message.template_id,
        name=message.name,
        type=message.type,
        description=message.description,
        category=message.category,
        is_active=message.is_active,
        info=message.metadata,
    )
    if row is None:
        other = existing(work, message.template_id, deleted=True)
        raise TemplateExists.named(message.template_id, deleted=other.deleted_at is not None)
    return views.template(row, None)


def update(message: UpdateTemplate, work: Work) -> Template:
    """Change the fields that the message names."""
    if message.is_active is False:
        row = locked_template(work, message.template_id)
        graph.require_unused(work, row)
    else:
        # Nothing that users of a partial depend on changes, so no publish has to wait.
        row = existing(work, message.template_id, lock=True)
    require_expected(message, work, row)
    given = message.model_fields_set & set(CHANGEABLE)
    columns = {_COLUMNS.get(field, field): getattr(message, field) for field in given}
    return view(work, templates.change(work.session, row, **columns))


def delete(message: DeleteTemplate, work: Work) -> Template:
    """Soft-delete a template."""
    row = locked_template(work, message.template_id)
    require_expected(message, work, row)
    graph.require_unused(work, row)
    return view(work, templates.mark_deleted(work.session, row))


def restore(message: RestoreTemplate, work: Work) -> Template:
    """Undo a soft delete; a template that is not deleted stays unchanged."""
    row = locked_template(work, message.template_id, deleted=True)
    require_expected(message, work, row)
    if row.deleted_at is not None:
        current = versions.find(work.session, row.id, None)
        if current is not None:
            graph.use_again(work, row, current)
        row = templates.mark_restored(work.session, row)
    return view(work, row)


def details(message: GetTemplate, work: Lookup) -> TemplateDetails:
    """Return a template, one of its versions, its languages, and the text of one of them."""
    stored = queries.find(work.connection, message.template_id, message.version, message.language)
    if stored is None:
        raise TemplateNotFound.named(message.template_id)
    version = stored.version
    if version is None and (message.version is not None or message.language is not None):
        raise VersionNotFound.named(message.template_id, message.version)
    template = views.template(stored.template, stored.current_version)
    scheduled = [ScheduledVersion.model_validate(each) for each in stored.scheduled]
    if version is None:
        return TemplateDetails.model_construct(
            template=template,
            version=None,
            languages=[],
            text=None,
            used_by=[],
            scheduled=scheduled,
        )
    source = version.info.get("language", work.configuration.default_language)
    return TemplateDetails.model_construct(
        template=template,
        version=views.version(version),
        languages=views.languages(source, stored.languages),
        text=_text(message.language, source, version, stored),
        used_by=_users(stored, work),
        scheduled=scheduled,
    )


def page(message: ListTemplates, work: Work) -> TemplatePage:
    """Return a page of templates in the order of template_id."""
    # One row more than asked for shows whether there is a next page.
    stored = templates.page(
        work.session,
        limit=message.limit + 1,
        after=message.after,
        type=message.type,
        category=message.category,
        is_active=message.is_active,
        prefix=message.prefix,
        tag=message.tag,
        text=message.text,
    )
    shown = stored[: message.limit]
    return TemplatePage(
        templates=[views.template(row, version) for row, version in shown],
        next=shown[-1][0].template_id if len(stored) > len(shown) else None,
    )


def _users(stored: Details, work: Lookup) -> list[PartialUser]:
    if stored.template.type != "partial":
        return []
    return [
        PartialUser(
            template_id=user.template_id,
            type=cast("TemplateType", user.type),
            steps=user.fewest_steps,
        )
        for user in partials.users(work.connection, stored.template.template_id)
    ]


def _text(
    language: str | None, source: str, version: VersionRow, stored: Details
) -> LanguageText | None:
    if language is None:
        return None
    if (text := stored.text) is not None:
        state = views.state(is_stale=text.is_stale)
        return LanguageText(language=language, state=state, **Sources.of(text)._asdict())
    if language == source:
        return LanguageText(language=source, state="source", **Sources.of(version)._asdict())
    available = [source, *(each for each, _ in stored.languages)]
    raise LanguageNotFound.named("language", language, available)
