"""Queries of the translations. They take a session and never commit."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.orm import Session, aliased

from db.models import Base, TemplateTranslation

_TABLE = Base.metadata.tables[TemplateTranslation.__tablename__]
_translations = _TABLE.c
_TEXTS = (
    select(
        _translations.language_code,
        _translations.subject,
        _translations.body,
        _translations.is_stale,
    )
    .where(_translations.template_version_id == bindparam("version"))
    .order_by(_translations.language_code)
)
_COUNT = select(func.count()).where(_translations.template_version_id == bindparam("version"))
_STATES = (
    select(
        _translations.template_version_id,
        _translations.language_code,
        _translations.is_stale,
    )
    .where(_translations.template_version_id.in_(bindparam("versions", expanding=True)))
    .order_by(_translations.language_code)
)
# xmax is 0 in a row version that an INSERT made, and the locking transaction's after an
# ON CONFLICT UPDATE.
_UPSERT = """
INSERT INTO template_translations (template_version_id, language_code, subject, body)
VALUES (%(version)s, %(language)s, %(subject)s, %(body)s)
ON CONFLICT (template_version_id, language_code) DO UPDATE
SET subject = excluded.subject,
    body = excluded.body,
    is_stale = FALSE,
    updated_at = clock_timestamp()
RETURNING created_at, updated_at, xmax = 0
"""
_CARRY = """
INSERT INTO template_translations
    (template_version_id, language_code, subject, body, is_stale)
SELECT %(version)s, language_code, subject, body, is_stale OR %(changed)s
FROM template_translations
WHERE template_version_id = %(previous)s AND language_code = ANY(%(languages)s)
"""


class StoredText(NamedTuple):
    """The text of a translation; without a subject the version's is used."""

    language_code: str
    subject: str | None
    body: str
    is_stale: bool


class Upserted(NamedTuple):
    """Times of a stored translation, and whether it was inserted."""

    created_at: datetime
    updated_at: datetime
    is_new: bool


def upsert(
    connection: psycopg.Connection, version: UUID, language: str, subject: str | None, body: str
) -> Upserted:
    """Write one language of a version, no longer stale."""
    values = {"version": version, "language": language, "subject": subject, "body": body}
    row = connection.execute(_UPSERT, values).fetchone()
    assert row is not None  # noqa: S101 - for the type checker: it has RETURNING
    return Upserted(*row)


def remove(session: Session, version: UUID, language: str) -> bool:
    """Delete one language of a version; tell whether it existed."""
    statement = (
        delete(TemplateTranslation)
        .where(
            TemplateTranslation.template_version_id == version,
            TemplateTranslation.language_code == language,
        )
        .returning(TemplateTranslation.id)
    )
    return session.scalar(statement) is not None


def texts(session: Session, version: UUID) -> list[StoredText]:
    """Return the texts of a version's translations, by language."""
    return [StoredText(*row) for row in session.execute(_TEXTS, {"version": version})]


def carry(
    connection: psycopg.Connection,
    previous: UUID,
    version: UUID,
    languages: Collection[str],
    *,
    source_changed: bool,
) -> None:
    """Copy translations of a version to the next one; stale if they were or the source changed."""
    connection.execute(
        _CARRY,
        {
            "previous": previous,
            "version": version,
            "languages": list(languages),
            "changed": source_changed,
        },
    )


def count(session: Session, version: UUID) -> int:
    """Return how many translations a version has."""
    return session.scalar(_COUNT, {"version": version}) or 0


def states(session: Session, versions: Sequence[UUID]) -> dict[UUID, list[tuple[str, bool]]]:
    """Return for each version its languages in order, and whether each is stale."""
    languages: dict[UUID, list[tuple[str, bool]]] = {version: [] for version in versions}
    for version, language, is_stale in session.execute(_STATES, {"versions": list(versions)}):
        languages[version].append((language, is_stale))
    return languages


class TextPair(NamedTuple):
    """The texts of one language in two versions."""

    language: str
    from_subject: str | None
    from_body: str
    to_subject: str | None
    to_body: str


def differing(session: Session, version: UUID, other: UUID) -> Iterable[TextPair]:
    """Yield the texts of each language that both versions have and that differ, by language."""
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
    # In batches: a version may have 200 texts of 256 KiB.
    for row in session.execute(statement, execution_options={"yield_per": 10}):
        yield TextPair(*row)
