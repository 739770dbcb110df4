"""Queries of the templates. They take a session and never commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.models import Template, TemplateTranslation, TemplateVersion
from db.queries.direct import Direct


class TemplateRow(NamedTuple):
    """Columns of :class:`db.models.Template`."""

    id: UUID
    template_id: str
    name: str
    type: str
    description: str | None
    category: str | None
    is_active: bool
    info: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


_COLUMNS = [getattr(Template, field) for field in TemplateRow._fields]
_OF_ID = select(*_COLUMNS).where(Template.template_id == bindparam("template_id"))
_FIND = Direct(_OF_ID)
# NO KEY: other transactions may insert rows that refer to the template.
_LOCK = Direct(_OF_ID.with_for_update(key_share=True))


def add(session: Session, **columns: Any) -> TemplateRow | None:  # noqa: ANN401 - column values
    """Insert a template and return it, or None when its template_id is taken."""
    statement = (
        insert(Template)
        .values(**columns)
        .on_conflict_do_nothing(index_elements=[Template.template_id])
        .returning(*_COLUMNS)
    )
    row = session.execute(statement).one_or_none()
    return None if row is None else TemplateRow._make(row)


def find(
    session: Session, template_id: str, *, lock: bool = False, deleted: bool = False
) -> TemplateRow | None:
    """Return a template, soft-deleted ones only with ``deleted``.

    ``lock`` locks its row until the transaction ends, which serializes writers of one template.
    """
    statement = _LOCK if lock else _FIND
    found = statement.execute(session, template_id=template_id).fetchone()
    row = None if found is None else TemplateRow._make(found)
    return None if row is None or (row.deleted_at is not None and not deleted) else row


def page(  # noqa: PLR0913 - a filter for each
    session: Session,
    *,
    limit: int,
    after: str | None = None,
    template_ids: Sequence[str] | None = None,
    prefix: str | None = None,
    tag: str | None = None,
    text: str | None = None,
    **equal: Any,  # noqa: ANN401 - column values
) -> Sequence[tuple[TemplateRow, str | None]]:
    """Return up to ``limit`` templates after ``after``, by template_id, with current versions.

    Parameters
    ----------
    session
        The session.
    limit, after
        How many, and after which template_id.
    template_ids
        The templates to choose from.
    prefix
        Prefix of the template_id.
    tag
        One of the texts in the metadata's ``tags``.
    text
        Stands in the template_id, the name, the description or a source of the current version,
        in any case.
    equal
        The columns that must have a value; None stands for any value.
    """
    statement = (
        select(TemplateVersion.version, *_COLUMNS)
        .select_from(Template)
        .outerjoin(
            TemplateVersion,
            (TemplateVersion.template_id == Template.id) & TemplateVersion.is_current,
        )
        .where(Template.deleted_at.is_(None))
        .order_by(Template.template_id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(Template.template_id > after)
    if template_ids is not None:
        statement = statement.where(Template.template_id.in_(template_ids))
    if prefix is not None:
        statement = statement.where(Template.template_id.startswith(prefix, autoescape=True))
    if tag is not None:
        statement = statement.where(Template.info["tags"].contains([tag]))
    if text is not None:
        statement = statement.where(_mentions(text))
    for column, value in equal.items():
        if value is not None:
            statement = statement.where(getattr(Template, column) == value)
    return [(TemplateRow._make(row[1:]), row[0]) for row in session.execute(statement)]


def _mentions(text: str) -> ColumnElement[bool]:
    """Return the condition that a template or its current version has a text somewhere."""

    def has(table: type[Template | TemplateVersion | TemplateTranslation], *columns: str) -> Any:  # noqa: ANN401 - a condition
        return or_(*(getattr(table, column).icontains(text, autoescape=True) for column in columns))

    parts = ("subject", "body", "text", "preheader")
    translated = (
        select(TemplateTranslation.id)
        .where(
            TemplateTranslation.template_version_id == TemplateVersion.id,
            has(TemplateTranslation, *parts),
        )
        .exists()
    )
    return or_(
        has(Template, "template_id", "name", "description"),
        has(TemplateVersion, *parts),
        translated,
    )


def mark_deleted(session: Session, template: TemplateRow) -> TemplateRow:
    """Soft-delete a template; return it as it is then."""
    return change(session, template, deleted_at=func.clock_timestamp())


def mark_restored(session: Session, template: TemplateRow) -> TemplateRow:
    """Undo a soft delete; return the template as it is then."""
    return change(session, template, deleted_at=None)


def change(session: Session, template: TemplateRow, **columns: Any) -> TemplateRow:  # noqa: ANN401 - column values
    """Set columns of a template, and the time of its update; return it as it is then."""
    statement = (
        update(Template)
        .where(Template.id == template.id)
        .values(**columns, updated_at=func.clock_timestamp())
        .returning(*_COLUMNS)
    )
    return TemplateRow._make(session.execute(statement).one())
