"""Queries of the partials that versions use. They take a connection and never commit.

One recursive statement returns a version's partials and all partials that these use, from one
state of the database. Renders use the current version of each partial.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

_LOCK: Final = 0x7465_6D70_7061_7274
"""Key of the advisory lock of the dependency graph; an arbitrary number, unique in this service."""

# The planner cannot estimate how few rows the recursion returns, and would scan whole tables;
# LATERAL with LIMIT makes it use the indexes.
_CLOSURE: Final = """
WITH RECURSIVE used (partial_id) AS (
    {start}
    UNION
    SELECT p.partial_id
    FROM used AS u
    CROSS JOIN LATERAL (
        SELECT id FROM template_versions WHERE template_id = u.partial_id AND is_current LIMIT 1
    ) AS v
    JOIN template_partials AS p ON p.template_version_id = v.id
)
SELECT t.template_id,
       t.type,
       t.is_active,
       t.deleted_at IS NOT NULL AS is_deleted,
       v.id AS version_id,
       v.version,
       COALESCE(v.inlined_body, v.body) AS body,
       v.variables,
       v.metadata ->> 'language' AS language,
       ARRAY(
           SELECT l.language_code
           FROM template_translations AS l
           WHERE l.template_version_id = v.id
           ORDER BY l.language_code
       ) AS languages,
       ARRAY(
           SELECT (SELECT o.template_id FROM templates AS o WHERE o.id = p.partial_id)
           FROM template_partials AS p
           WHERE p.template_version_id = v.id
           ORDER BY 1
       ) AS uses,
       x.body AS translated_body
FROM used AS u
CROSS JOIN LATERAL (SELECT * FROM templates WHERE id = u.partial_id LIMIT 1) AS t
LEFT JOIN LATERAL (
    SELECT * FROM template_versions WHERE template_id = u.partial_id AND is_current LIMIT 1
) AS v ON TRUE
LEFT JOIN LATERAL (
    SELECT COALESCE(inlined_body, body) AS body
    FROM template_translations
    WHERE template_version_id = v.id AND language_code = %(language)s
    LIMIT 1
) AS x ON TRUE
ORDER BY t.template_id
"""
_OF_VERSION: Final = _CLOSURE.format(
    start="SELECT partial_id FROM template_partials WHERE template_version_id = %(version_id)s"
)
_NAMED: Final = _CLOSURE.format(start="SELECT id FROM templates WHERE template_id = ANY(%(names)s)")
_BODIES: Final = """
SELECT x.template_version_id, x.language_code, COALESCE(x.inlined_body, x.body)
FROM template_translations AS x
JOIN unnest(%(versions)s::uuid[], %(languages)s::text[]) AS w (version_id, language)
    ON x.template_version_id = w.version_id AND x.language_code = w.language
"""
_USERS: Final = """
WITH RECURSIVE users (template_id, height) AS (
    SELECT id, 0 FROM templates WHERE template_id = %(template_id)s
    UNION
    SELECT v.template_id, u.height + 1
    FROM users AS u
    JOIN template_partials AS p ON p.partial_id = u.template_id
    CROSS JOIN LATERAL (
        SELECT template_id
        FROM template_versions
        WHERE id = p.template_version_id AND is_current
        LIMIT 1
    ) AS v
    CROSS JOIN LATERAL (
        SELECT FROM templates WHERE id = v.template_id AND deleted_at IS NULL LIMIT 1
    ) AS t
)
SELECT t.template_id, t.type, min(u.height), max(u.height)
FROM users AS u
CROSS JOIN LATERAL (SELECT template_id, type FROM templates WHERE id = u.template_id LIMIT 1) AS t
WHERE u.height > 0
GROUP BY t.template_id, t.type
ORDER BY t.template_id
"""

# Only tags with one of these words use a partial; most texts have none and are not returned.
_TEXTS_WITH_PARTIALS: Final = """
SELECT subject, body, text, preheader
FROM template_translations
WHERE template_version_id = %(version_id)s
  AND concat_ws(' ', subject, body, text, preheader) ~ 'include|extends'
"""
_CLEAR_USES: Final = f"""
WITH cleared AS (DELETE FROM template_partials WHERE template_version_id = %(version_id)s)
{_TEXTS_WITH_PARTIALS}
"""  # noqa: S608 - no input
_LOCK_GRAPH_WHOLE: Final = {
    True: "SELECT pg_advisory_xact_lock(%(lock)s)",
    False: "SELECT pg_advisory_xact_lock_shared(%(lock)s)",
}
_LOCK_GRAPH: Final = """
SELECT CASE WHEN type = 'partial' THEN pg_advisory_xact_lock(%(lock)s)
            ELSE pg_advisory_xact_lock_shared(%(lock)s) END
FROM templates
WHERE template_id = %(template_id)s
"""


class Partial(NamedTuple):
    """A template that others include, as its current version has it.

    ``version_id`` and the version's other fields are None where there is no version. ``body`` is
    the version's own text, ``languages`` has the languages of its translations, ``uses`` the
    template_ids of the partials that it uses, ``translated_body`` its text in the wanted language.
    """

    template_id: str
    type: str
    is_active: bool
    is_deleted: bool
    version_id: UUID | None
    version: str
    body: str
    variables: Sequence[dict[str, Any]]
    language: str | None
    languages: Sequence[str]
    uses: Sequence[str]
    translated_body: str | None


class User(NamedTuple):
    """A template that uses a partial, and the length of the path to it: 1 for a direct use."""

    template_id: str
    type: str
    fewest_steps: int
    most_steps: int


def of_version(
    connection: psycopg.Connection, version_id: UUID, language: str | None
) -> list[Partial]:
    """Return every partial that a version uses, directly or through others, by template_id."""
    rows = connection.execute(_OF_VERSION, {"version_id": version_id, "language": language})
    return [Partial(*row) for row in rows]


def named(connection: psycopg.Connection, names: Collection[str]) -> list[Partial]:
    """Return templates and every partial that these use, directly or through others."""
    rows = connection.execute(_NAMED, {"names": list(names), "language": None})
    return [Partial(*row) for row in rows]


def bodies(
    connection: psycopg.Connection, wanted: Collection[tuple[UUID, str]]
) -> dict[tuple[UUID, str], str]:
    """Return the translated bodies of pairs of version and language; missing ones are omitted."""
    parameters = {
        "versions": [version for version, _ in wanted],
        "languages": [language for _, language in wanted],
    }
    return {(row[0], row[1]): row[2] for row in connection.execute(_BODIES, parameters)}


def users(connection: psycopg.Connection, template_id: str) -> list[User]:
    """Return the templates whose current versions use a partial, by template_id."""
    return [User(*row) for row in connection.execute(_USERS, {"template_id": template_id})]


def texts_with_partials(connection: psycopg.Connection, version_id: UUID) -> list[str]:
    """Return the sources of a version's translations that may use partials."""
    return _texts(connection, _TEXTS_WITH_PARTIALS, version_id)


def clear_uses(connection: psycopg.Connection, version_id: UUID) -> list[str]:
    """Delete the stored uses of partials by a version; return as :func:`texts_with_partials`."""
    return _texts(connection, _CLEAR_USES, version_id)


def add_uses(connection: psycopg.Connection, version_id: UUID, names: Collection[str]) -> None:
    """Store which partials a version uses."""
    if not names:
        return
    # The foreign key locks the partials anyway. Locking them here waits for a concurrent purge and
    # omits the purged partial, which would violate the foreign key.
    connection.execute(
        "INSERT INTO template_partials (template_version_id, partial_id) "
        "SELECT %s, id FROM templates WHERE template_id = ANY(%s) FOR KEY SHARE",
        (version_id, list(names)),
    )


def lock_graph(connection: psycopg.Connection, template_id: str) -> None:
    """Lock the dependency graph of partials until the transaction ends, for a write to a template.

    A change of a partial takes the exclusive lock, a change of another template the shared one. So
    concurrent writes can create neither a cycle nor a use of a deleted partial. Renders take no
    lock.
    """
    connection.execute(_LOCK_GRAPH, {"lock": _LOCK, "template_id": template_id})


def lock_graph_of_many(connection: psycopg.Connection, *, with_partials: bool) -> None:
    """Lock the dependency graph as :func:`lock_graph` does, for a write to several templates.

    ``with_partials`` is whether one of them is a partial: the lock cannot become an exclusive
    one later, since two transactions would wait for each other.
    """
    connection.execute(_LOCK_GRAPH_WHOLE[with_partials], {"lock": _LOCK})


def _texts(connection: psycopg.Connection, statement: str, version_id: UUID) -> list[str]:
    rows = connection.execute(statement.encode(), {"version_id": version_id})
    return [text for row in rows for text in row if text is not None]
