"""What the database holds, looked at from outside the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

_COUNTS: LiteralString = """
SELECT (SELECT count(*) FROM templates WHERE template_id = %(id)s),
       (SELECT count(*) FROM template_versions AS v
        JOIN templates AS t ON t.id = v.template_id WHERE t.template_id = %(id)s),
       (SELECT count(*) FROM template_translations AS x
        JOIN template_versions AS v ON v.id = x.template_version_id
        JOIN templates AS t ON t.id = v.template_id WHERE t.template_id = %(id)s),
       (SELECT count(*) FROM template_versions AS v
        JOIN templates AS t ON t.id = v.template_id WHERE t.template_id = %(id)s AND v.is_current)
"""


class Rows:
    """A connection of its own to the database of a test."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run(self, statement: LiteralString, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - column values
        """Run one statement, commit, and return its rows."""
        with psycopg.connect(self._url) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def counts(self, template_id: str) -> tuple[int, ...]:
        """Return how many templates, versions, translations and current versions there are."""
        return self.run(_COUNTS, id=template_id)[0]

    def records(self, key: str) -> int:
        """Return how many idempotency records a key has."""
        rows = self.run("SELECT count(*) FROM idempotency_records WHERE key = %(key)s", key=key)
        return int(rows[0][0])

    @contextmanager
    def held(self, statement: LiteralString, **parameters: Any) -> Iterator[None]:  # noqa: ANN401 - column values
        """Keep a transaction open that has run one statement."""
        with psycopg.connect(self._url) as connection:
            connection.execute(statement, parameters)
            yield
