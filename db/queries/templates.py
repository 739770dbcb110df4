"""Queries of the templates. They take a session and never commit."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.models import Template, TemplateTranslation, TemplateVersion

_FIND = select(Template).where(Template.template_id == bindparam("template_id"))
# NO KEY: other transactions may insert rows that refer to the template. populate_existing: rows
# that the session loaded before the lock are stale, and are loaded again.
_LOCK = _FIND.with_for_update(key_share=True).execution_options(populate_existing=True)


def add(session: Session, **columns: Any) -> Template | None:  # noqa: ANN401 - column values
    """Insert a template and return it, or None when its template_id is taken."""
    statement = (
        insert(Template)
        .values(**columns)
        .on_conflict_do_nothing(index_elements=[Template.template_id])
        .returning(Template)
    )
    return session.scalars(statement).one_or_none()


def find(
    session: Session, template_id: str, *, lock: bool = False, deleted: bool = False
) -> Template | None:
    """Return a template, soft-deleted ones only with ``deleted``.

    ``lock`` locks its row until the transaction ends, which serializes writers of one template.
    """
    statement = _LOCK if lock else _FIND
    row = session.scalars(statement, {"template_id": template_id}).one_or_none()
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
) -> Sequence[tuple[Template, str | None]]:
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
        select(Template, TemplateVersion.version)
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
    return [(template, version) for template, version in session.execute(statement)]


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


def mark_deleted(session: Session, template: Template) -> None:
    """Soft-delete a template."""
    template.deleted_at = func.clock_timestamp()
    _reload(session, template)


def mark_restored(session: Session, template: Template) -> None:
    """Undo a soft delete."""
    template.deleted_at = None
    _reload(session, template)


def change(session: Session, template: Template, **columns: Any) -> None:  # noqa: ANN401 - column values
    """Set columns of a template."""
    for column, value in columns.items():
        setattr(template, column, value)
    # Set even if no value changes, since the answer contains the time of the update.
    template.updated_at = func.clock_timestamp()
    _reload(session, template)


def _reload(session: Session, template: Template) -> None:
    session.flush()
    session.refresh(template)
