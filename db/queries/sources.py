"""The query of a render: everything that it needs, in one round trip.

A single statement sees one state of the database, so that version, languages and text are
consistent, and a render that starts after a write's answer sees that write.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import psycopg

_STATEMENT = """
SELECT t.type,
       t.is_active,
       v.id AS version_id,
       v.version,
       v.subject,
       COALESCE(v.inlined_body, v.body) AS body,
       v.text,
       v.preheader,
       v.variables::text AS variables,
       v.metadata ->> 'language' AS language,
       ARRAY(
           SELECT l.language_code
           FROM template_translations AS l
           WHERE l.template_version_id = v.id
           ORDER BY l.language_code
       ) AS languages,
       x.subject AS translated_subject,
       COALESCE(x.inlined_body, x.body) AS translated_body,
       x.text AS translated_text,
       x.preheader AS translated_preheader,
       x.is_stale,
       EXISTS (
           SELECT FROM template_partials AS p WHERE p.template_version_id = v.id
       ) AS has_partials
FROM templates AS t
LEFT JOIN template_versions AS v ON v.template_id = t.id AND {version}
LEFT JOIN template_translations AS x
    ON x.template_version_id = v.id AND x.language_code = %(language)s
WHERE t.template_id = %(template_id)s AND t.deleted_at IS NULL
"""
CURRENT: Final = _STATEMENT.format(version="v.is_current")
_NAMED: Final = _STATEMENT.format(version="v.version = %(version)s")
_TRANSLATION: Final = """
SELECT subject, COALESCE(inlined_body, body), text, preheader, is_stale
FROM template_translations
WHERE template_version_id = %(version_id)s AND language_code = %(language)s
"""


class Translated(NamedTuple):
    """The sources of a translation; a null subject is the version's."""

    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    is_stale: bool


class Source(NamedTuple):
    """The source of a render; ``version_id`` is None if there is no such version.

    ``variables`` is JSON: most renders know what it says. ``translated_body`` is the text of the
    requested language, None if there is none.
    """

    type: str
    is_active: bool
    version_id: UUID | None
    version: str
    subject: str | None
    body: str
    text: str | None
    preheader: str | None
    variables: str
    language: str | None
    languages: Sequence[str]
    translated_subject: str | None
    translated_body: str | None
    translated_text: str | None
    translated_preheader: str | None
    is_stale: bool | None
    has_partials: bool


def find(
    connection: psycopg.Connection, template_id: str, version: str | None, language: str | None
) -> Source | None:
    """Return the source of a version (None: the current one), or None without such a template."""
    parameters = {"template_id": template_id, "language": language}
    if version is None:
        row = connection.execute(CURRENT, parameters).fetchone()
    else:
        row = connection.execute(_NAMED, parameters | {"version": version}).fetchone()
    return None if row is None else Source(*row)


def translation(
    connection: psycopg.Connection, version_id: UUID, language: str
) -> Translated | None:
    """Return the sources of one language of a version, or None if there is none."""
    row = connection.execute(
        _TRANSLATION, {"version_id": version_id, "language": language}
    ).fetchone()
    return None if row is None else Translated(*row)
