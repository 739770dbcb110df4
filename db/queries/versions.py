"""Queries of the versions. They take a session and never commit."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Numeric, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, load_only

from db.models import TemplateVersion

# A number may be a date and time too; a longer one would leave no room in the column to go on.
_WHOLE_NUMBER = r"^[0-9]{1,49}$"


def find(session: Session, template: UUID, version: str | None) -> TemplateVersion | None:
    """Return the version of that name, or with None the current one."""
    statement = select(TemplateVersion).where(TemplateVersion.template_id == template)
    if version is None:
        statement = statement.where(TemplateVersion.is_current)
    else:
        statement = statement.where(TemplateVersion.version == version)
    return session.scalars(statement).one_or_none()


def next_number(session: Session, template: UUID) -> str:
    """Return the whole number after the highest; the caller holds the template's row lock."""
    # substring() is null for a name that is no number, and so the cast never fails.
    number = func.max(
        cast(
            func.substring(TemplateVersion.version, _WHOLE_NUMBER),
            Numeric,
        )
    )
    highest = session.scalar(select(number).where(TemplateVersion.template_id == template))
    return str((highest or 0) + 1)


def add(session: Session, **columns: Any) -> TemplateVersion | None:  # noqa: ANN401 - column values
    """Insert a version that is not current; return it, or None when its name is taken."""
    statement = (
        insert(TemplateVersion)
        .values(**columns)
        .on_conflict_do_nothing(
            index_elements=[TemplateVersion.template_id, TemplateVersion.version]
        )
        .returning(TemplateVersion)
    )
    return session.scalars(statement).one_or_none()


def make_current(session: Session, version: TemplateVersion) -> None:
    """Make a version the current one; the caller holds the template's row lock."""
    # Two statements: a unique index is checked row by row, so that one UPDATE of both rows could
    # meet the new current version before the old one has gone.
    session.execute(
        update(TemplateVersion)
        .where(TemplateVersion.template_id == version.template_id, TemplateVersion.is_current)
        .values(is_current=False)
    )
    version.is_current = True
    session.flush()


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
