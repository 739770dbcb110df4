"""Queries of the translations. They take a session and never commit."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Boolean, delete, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from db.models import TemplateTranslation


def upsert(
    session: Session, version: UUID, language: str, subject: str | None, body: str
) -> tuple[TemplateTranslation, bool]:
    """Write one language of a version, no longer stale; return it and whether it is new."""
    statement = insert(TemplateTranslation).values(
        template_version_id=version, language_code=language, subject=subject, body=body
    )
    # xmax is 0 in a row version that an INSERT made, and the locking transaction's after an
    # ON CONFLICT UPDATE.
    statement = statement.on_conflict_do_update(
        index_elements=[
            TemplateTranslation.template_version_id,
            TemplateTranslation.language_code,
        ],
        set_={
            "subject": statement.excluded.subject,
            "body": statement.excluded.body,
            "is_stale": False,
            "updated_at": func.clock_timestamp(),
        },
    )
    row = session.execute(
        statement.returning(TemplateTranslation, literal_column("xmax = 0", Boolean)),
        execution_options={"populate_existing": True},
    ).one()
    return row[0], row[1]


def remove(session: Session, version: UUID, language: str) -> bool:
    """Delete one language of a version; tell whether it was there."""
    statement = (
        delete(TemplateTranslation)
        .where(
            TemplateTranslation.template_version_id == version,
            TemplateTranslation.language_code == language,
        )
        .returning(TemplateTranslation.id)
    )
    return session.scalar(statement) is not None


def find(session: Session, version: UUID, language: str) -> TemplateTranslation | None:
    """Return one language of a version."""
    return session.scalars(
        select(TemplateTranslation).where(
            TemplateTranslation.template_version_id == version,
            TemplateTranslation.language_code == language,
        )
    ).one_or_none()


def texts(session: Session, version: UUID) -> Sequence[TemplateTranslation]:
    """Return the translations of a version, by language."""
    return session.scalars(
        select(TemplateTranslation)
        .where(TemplateTranslation.template_version_id == version)
        .order_by(TemplateTranslation.language_code)
    ).all()


def carry(session: Session, version: UUID, row: TemplateTranslation, *, is_stale: bool) -> None:
    """Write a translation of an earlier version for a new one."""
    session.add(
        TemplateTranslation(
            template_version_id=version,
            language_code=row.language_code,
            subject=row.subject,
            body=row.body,
            is_stale=is_stale,
        )
    )


def count(session: Session, version: UUID) -> int:
    """Return how many translations a version has."""
    statement = select(func.count()).where(TemplateTranslation.template_version_id == version)
    return session.scalar(statement) or 0


def states(session: Session, versions: Sequence[UUID]) -> dict[UUID, list[tuple[str, bool]]]:
    """Return for each version its languages in order, and whether each is stale."""
    found: dict[UUID, list[tuple[str, bool]]] = {version: [] for version in versions}
    rows = session.execute(
        select(
            TemplateTranslation.template_version_id,
            TemplateTranslation.language_code,
            TemplateTranslation.is_stale,
        )
        .where(TemplateTranslation.template_version_id.in_(versions))
        .order_by(TemplateTranslation.language_code)
    )
    for version, language, is_stale in rows:
        found[version].append((language, is_stale))
    return found


class TextPair(NamedTuple):
    """The texts of one language in two versions."""

    language: str
    from_subject: str | None
    from_body: str
    to_subject: str | None
    to_body: str


def differing(session: Session, version: UUID, other: UUID) -> Iterable[TextPair]:
    """Yield the texts of each language that both versions have, and not alike, in order."""
    one, two = aliased(TemplateTranslation), aliased(TemplateTranslation)
    statement = (
        select(one.language_code, one.subject, one.body, two.subject, two.body)
        .join(two, one.language_code == two.language_code)
        .where(
            one.template_version_id == version,
            two.template_version_id == other,
            one.subject.is_distinct_from(two.subject) | (one.body != two.body),
        )
        .order_by(one.language_code)
    )
    # A version may hold 200 texts of 256 KiB: they are not all in memory at once.
    for row in session.execute(statement, execution_options={"yield_per": 10}):
        yield TextPair(*row)
