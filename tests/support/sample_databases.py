"""Databases of their own, with a few templates, that backups are made of and restored to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg.abc import QueryNoTemplate

from db import migrations
from db.backup.databases import administering, drop
from db.cluster.programs import Programs
from db.commands.core import Client
from worker.local import LocalStack

TEMPLATES: Final = 4
ROWS: Final = {
    "alembic_version": 1,
    "idempotency_records": 2,
    "template_partials": 1,
    "template_translations": 2 * TEMPLATES * 2,
    "template_versions": 2 * TEMPLATES + 1,
    "templates": TEMPLATES + 1,
}
"""Rows of each table of a new sample database; tables of later migrations are empty."""

_FILL: LiteralString = """
INSERT INTO templates (template_id, name, type, metadata)
SELECT 'welcome-' || n, 'Wünsche ' || n, 'email', '{"team": "shop"}'
FROM generate_series(1, 4) AS n;
INSERT INTO templates (template_id, name, type) VALUES ('footer', 'Footer', 'partial');
INSERT INTO template_versions (template_id, version, subject, body, variables, is_current)
SELECT t.id, v::text, 'Hello {{ name }}', E'<p>Dear\t{{ name }}</p>\n' || v,
       '[{"name": "name", "type": "string", "example": "Ada"}]', v = 2
FROM templates AS t, generate_series(1, 2) AS v
WHERE t.type = 'email';
INSERT INTO template_versions (template_id, version, body, is_current)
SELECT id, '1', '<hr>', true FROM templates WHERE type = 'partial';
INSERT INTO template_translations (template_version_id, language_code, body)
SELECT v.id, l.code, '<p>{{ name }} \\ ' || l.code || '</p>'
FROM template_versions AS v, (VALUES ('de'), ('fr')) AS l(code)
WHERE v.subject IS NOT NULL;
INSERT INTO template_partials (template_version_id, partial_id)
SELECT v.id, p.id
FROM template_versions AS v JOIN templates AS t ON t.id = v.template_id, templates AS p
WHERE t.template_id = 'welcome-1' AND v.version = '1' AND p.type = 'partial';
INSERT INTO idempotency_records (key, task, content_sha256, result)
VALUES ('a', 'template.create', '\\x00ff', '{"b": 1, "a": [null, 1.5]}'),
       ('b', 'template.create', '\\xff', NULL);
"""


class SampleDatabase:
    """A database, accessed as by an operator."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def name(self) -> str:
        """Name of the database."""
        return urlsplit(self.url).path[1:]

    @property
    def client(self) -> Client:
        """PostgreSQL's programs, connected to it."""
        return Client(Programs.chosen(), self.url)

    def run(self, statement: QueryNoTemplate, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - column values
        """Run one statement by itself and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: QueryNoTemplate, **parameters: Any) -> Any:  # noqa: ANN401 - a column value
        """Run one statement and return its first value."""
        return self.run(statement, **parameters)[0][0]

    def at(self, database: str) -> "SampleDatabase":
        """Return another database of the server."""
        return SampleDatabase(urlsplit(self.url)._replace(path=f"/{database}").geturl())

    def databases(self) -> set[str]:
        """Return the databases of the server whose names begin with that of this one."""
        rows = self.at("postgres").run(
            "SELECT datname FROM pg_database WHERE datname LIKE %(like)s", like=f"{self.name}%"
        )
        return {name for (name,) in rows}

    def drop(self) -> None:
        """Drop it, and all databases whose names begin with its."""
        with administering(self.url) as admin:
            for name in self.databases():
                drop(admin, name)

    def fill(self) -> None:
        """Put a few templates into it."""
        with psycopg.connect(self.url) as connection:
            connection.execute(_FILL)


@contextmanager
def sample_database(
    servers: LocalStack, *, revision: str = "head", filled: bool = True
) -> Iterator[SampleDatabase]:
    """Yield a new database at a migration; all whose names begin with its go with it."""
    made = SampleDatabase(servers.postgres.url_of(f"shop_{uuid4().hex[:12]}"))
    with administering(made.url) as admin:
        admin.execute(f"CREATE DATABASE {made.name}".encode())
    try:
        migrations.upgrade(made.url, revision)
        if filled:
            made.fill()
        yield made
    finally:
        made.drop()


@contextmanager
def copy_of(source: SampleDatabase) -> Iterator[SampleDatabase]:
    """Yield a copy of a sample database without sessions; it is dropped in the end."""
    made = source.at(f"shop_{uuid4().hex[:12]}")
    with administering(made.url) as admin:
        admin.execute(f"CREATE DATABASE {made.name} TEMPLATE {source.name}".encode())
    try:
        yield made
    finally:
        made.drop()
