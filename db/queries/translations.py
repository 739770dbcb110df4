"""Queries of the translations. They take a session and never commit."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy import any_, bindparam, delete, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PGUUID
from sqlalchemy.orm import Session, aliased

from db.models import Base, TemplateTranslation
from db.queries.direct import Direct

_TABLE = Base.metadata.tables[TemplateTranslation.__tablename__]
_translations = _TABLE.c
_COLUMNS = (
    _translations.language_code,
    _translations.subject,
    _translations.body,
    _translations.text,
    _translations.preheader,
    _translations.is_stale,
    _translations.inlined_body,
)
_TEXTS = Direct(
    select(*_COLUMNS)
    .where(_translations.template_version_id == bindparam("version"))
    .order_by(_translations.language_code)
)
_TEXTS_OF = (
    select(_translations.template_version_id, *_COLUMNS)
    .where(_translations.template_version_id.in_(bindparam("versions", expanding=True)))
    .order_by(_translations.language_code)
)
_PARTS = ("subject", "body", "text", "preheader")
_STATES = Direct(
    select(
        _translations.template_version_id,
        _translations.language_code,
        _translations.is_stale,
    )
    .where(_translations.template_version_id == any_(bindparam("versions", type_=ARRAY(PGUUID))))
    .order_by(_translations.language_code)
)
# xmax is 0 in a row version that an INSERT made, and the locking transaction's after an
# ON CONFLICT UPDATE.
_UPSERT = """
INSERT INTO template_translations
    (template_version_id, language_code, subject, body, text, preheader, inlined_body)
VALUES (%(version)s, %(language)s, %(subject)s, %(body)s, %(text)s, %(preheader)s, %(inlined)s)
ON CONFLICT (template_version_id, language_code) DO UPDATE
SET subject = excluded.subject,
    body = excluded.body,
    text = excluded.text,
    preheader = excluded.preheader,
    inlined_body = excluded.inlined_body,
    is_stale = FALSE,
    updated_at = clock_timestamp()
RETURNING created_at, updated_at, xmax = 0
"""
_CARRY = """
INSERT INTO template_translations
    (template_version_id, language_code, subject, body, text, preheader, inlined_body, is_stale)
SELECT %(version)s,
       t.language_code,
       t.subject,
       t.body,
       t.text,
       t.preheader,
       c.inlined_body,
       t.is_stale OR %(changed)s
FROM template_translations AS t
JOIN unnest(%(languages)s::text[], %(inlined)s::text[]) AS c (language_code, inlined_body)
    ON c.language_code = t.language_code
WHERE t.template_version_id = %(previous)s
"""


class StoredText(NamedTuple):
    """The text of a translation; without a subject the version's is used.

    ``inlined_body`` is the body to render where it is not ``body``.
    """

    language_code: str
    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    is_stale: bool
    inlined_body: str | None


class Written(NamedTuple):
    """The stored sources of a translation; ``inlined`` is the body to render."""

    subject: str | None
    body: str
    text: str | None = None
    preheader: str | None = None
    inlined: str | None = None


class Upserted(NamedTuple):
    """Times of a stored translation, and whether it was inserted."""

    created_at: datetime
    updated_at: datetime
    is_new: bool


def upsert(connection: psycopg.Connection, version: UUID, language: str, text: Written) -> Upserted:
    """Write one language of a version, no longer stale."""
    values = {"version": version, "language": language, **text._asdict()}
    row = connection.execute(_UPSERT, values).fetchone()
    assert row is not None  # noqa: S101 - for the type checker: it has RETURNING
    return Upserted(*row)


def remove(session: Session, version: UUID, language: str) -> bool:
    """Delete one language of a version; return whether it existed."""
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
    return [StoredText(*row) for row in _TEXTS.execute(session, version=version)]


def texts_of(session: Session, versions: Sequence[UUID]) -> dict[UUID, list[StoredText]]:
    """Return for each version the texts of its translations, by language."""
    texts: dict[UUID, list[StoredText]] = {version: [] for version in versions}
    for version, *row in session.execute(_TEXTS_OF, {"versions": list(versions)}):
        texts[version].append(StoredText(*row))
    return texts


def carry(
    connection: psycopg.Connection,
    previous: UUID,
    version: UUID,
    inlined: Mapping[str, str | None],
    *,
    source_changed: bool,
) -> None:
    """Copy translations of a version to the next one; stale if they were or the source changed.

    ``inlined`` has each language, with the body to render where its styles are inlined.
    """
    connection.execute(
        _CARRY,
        {
            "previous": previous,
            "version": version,
            "languages": list(inlined),
            "inlined": list(inlined.values()),
            "changed": source_changed,
        },
    )


def states(session: Session, versions: Sequence[UUID]) -> dict[UUID, list[tuple[str, bool]]]:
    """Return for each version its languages in order, and whether each is stale."""
    languages: dict[UUID, list[tuple[str, bool]]] = {version: [] for version in versions}
    for version, language, is_stale in _STATES.execute(session, versions=list(versions)):
        languages[version].append((language, is_stale))
    return languages


class TextPair(NamedTuple):
    """The texts of one language in two versions."""

    language: str
    from_subject: str | None
    from_body: str
    from_text: str | None
    from_preheader: str | None
    to_subject: str | None
    to_body: str
    to_text: str | None
    to_preheader: str | None


def differing(session: Session, version: UUID, other: UUID) -> Iterable[TextPair]:
    """Yield the texts of each language that both versions have and that differ, by language."""
    one, two = aliased(TemplateTranslation), aliased(TemplateTranslation)
    statement = (
        select(
            one.language_code,
            *(getattr(each, part) for each in (one, two) for part in _PARTS),
        )
        .join(two, one.language_code == two.language_code)
        .where(
            one.template_version_id == version,
            two.template_version_id == other,
            or_(*(getattr(one, part).is_distinct_from(getattr(two, part)) for part in _PARTS)),
        )
        .order_by(one.language_code)
    )
    # In batches: a version may have 200 texts of 256 KiB.
    for row in session.execute(statement, execution_options={"yield_per": 10}):
        yield TextPair(*row)
