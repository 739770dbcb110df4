"""Queries of the versions. They take a session and never commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Numeric, bindparam, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, load_only

from db.models import Base, TemplateVersion

# A number may also be a date and time. The column has 50 characters: a name of 50 digits is
# ignored, since the next number could be longer.
_WHOLE_NUMBER = r"^[0-9]{1,49}$"

_TABLE = Base.metadata.tables[TemplateVersion.__tablename__]
_versions = _TABLE.c
_OF_TEMPLATE = select(
    _versions.id,
    _versions.version,
    _versions.subject,
    _versions.body,
    _versions.text,
    _versions.preheader,
    _versions.inline_css,
    _versions.inlined_body,
    _versions.variables,
    _versions.metadata,
    _versions.is_current,
    _versions.created_at,
).where(_versions.template_id == bindparam("template"))
_CURRENT = _OF_TEMPLATE.where(_versions.is_current)
_NAMED = _OF_TEMPLATE.where(_versions.version == bindparam("name"))
# substring() is null for a name that is not a number, so that the cast never fails.
_NUMBER = cast(func.substring(_versions.version, _WHOLE_NUMBER), Numeric)
_NEXT_NUMBER = (
    select(func.coalesce(func.max(_NUMBER), 0) + 1)
    .where(_versions.template_id == bindparam("template_id"))
    .scalar_subquery()
)
_ADD = (
    insert(_TABLE)
    .values(
        template_id=bindparam("template_id"),
        version=func.coalesce(bindparam("name"), cast(_NEXT_NUMBER, _versions.version.type)),
        subject=bindparam("subject"),
        body=bindparam("body"),
        text=bindparam("text"),
        preheader=bindparam("preheader"),
        inline_css=bindparam("inline_css"),
        inlined_body=bindparam("inlined_body"),
        variables=bindparam("variables"),
        metadata=bindparam("info"),
        is_current=bindparam("is_current"),
    )
    .on_conflict_do_nothing(index_elements=[_versions.template_id, _versions.version])
    .returning(_versions.id, _versions.version)
)
_UNSET_CURRENT = (
    update(_TABLE)
    .where(_versions.template_id == bindparam("template"), _versions.is_current)
    .values(is_current=False)
)
_SET_CURRENT = update(_TABLE).where(_versions.id == bindparam("version_id")).values(is_current=True)


class VersionRow(NamedTuple):
    """A version; immutable except for ``is_current``."""

    id: UUID
    version: str
    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    inline_css: bool
    inlined_body: str | None
    variables: list[dict[str, Any]]
    info: dict[str, Any]
    is_current: bool
    created_at: datetime


class Added(NamedTuple):
    """A version that was inserted."""

    id: UUID
    version: str


def find(session: Session, template: UUID, version: str | None) -> VersionRow | None:
    """Return the version of that name, or with None the current one."""
    statement = _CURRENT if version is None else _NAMED
    row = session.execute(statement, {"template": template, "name": version}).one_or_none()
    return None if row is None else VersionRow._make(row)


def add(
    session: Session,
    *,
    template_id: UUID,
    name: str | None,
    is_current: bool,
    **columns: Any,  # noqa: ANN401 - column values
) -> Added | None:
    """Insert a version; return it, or None when its name is taken.

    The caller holds the template's row lock. Without a name the version gets the next whole number;
    with ``is_current`` it replaces the current version.
    """
    if is_current:
        session.execute(_UNSET_CURRENT, {"template": template_id})
    given = {"template_id": template_id, "name": name, "is_current": is_current, **columns}
    row = session.execute(_ADD, given).one_or_none()
    return None if row is None else Added(*row)


def make_current(session: Session, template: UUID, version: UUID) -> None:
    """Make a version the current one; the caller holds the template's row lock."""
    # Two statements: a unique index is checked row by row, so that a single UPDATE could set the
    # new current version before it unsets the old one.
    session.execute(_UNSET_CURRENT, {"template": template})
    session.execute(_SET_CURRENT, {"version_id": version})


def newest_first(session: Session, template: UUID) -> Sequence[TemplateVersion]:
    """Return the versions of a template without their sources."""
    columns = (
        TemplateVersion.id,
        TemplateVersion.version,
        TemplateVersion.is_current,
        TemplateVersion.created_at,
    )
    return session.scalars(
        select(TemplateVersion)
        .options(load_only(*columns))
        .where(TemplateVersion.template_id == template)
        .order_by(TemplateVersion.created_at.desc(), TemplateVersion.id.desc())
    ).all()
