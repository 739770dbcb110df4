"""Arguments and answers of services; nothing here needs Celery."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy.orm import Session

from db.session import driver_connection
from tasks import facts
from tasks.configuration import Configuration
from tasks.runtime import Runtime

SHOWN = (
    "template_id",
    "type",
    "version",
    "language",
    "language_code",
    "rendered",
    "failed",
)
"""Members of a result that logs, events and Flower may show."""


@dataclass(frozen=True, slots=True)
class Work:
    """Session and runtime of a task; the task base commits the session."""

    session: Session
    runtime: Runtime

    @property
    def connection(self) -> psycopg.Connection:
        """The session's connection, inside its transaction."""
        return driver_connection(self.session)

    @property
    def configuration(self) -> Configuration:
        """Limits and defaults."""
        return self.runtime.configuration


@dataclass(frozen=True, slots=True)
class Lookup:
    """Autocommit connection and runtime of a task that stores nothing."""

    connection: psycopg.Connection
    runtime: Runtime

    @property
    def configuration(self) -> Configuration:
        """Limits and defaults."""
        return self.runtime.configuration


class Answer:
    """Result that is stored in full and shown in logs, events and Flower as ids and sizes.

    Parameters
    ----------
    payload
        The result, a JSON object; with ``stored`` only what is shown of it.
    stored
        The result as JSON in UTF-8, which is stored unchanged. Its pieces are joined only then,
        because the result of a batch may have several megabytes.
    figures
        What is shown instead, of a result that holds nothing of a producer's.

    Attributes
    ----------
    notes
        Facts about the work that are shown and not part of the result.
    """

    def __init__(
        self,
        payload: Mapping[str, Any],
        stored: Sequence[bytes] | None = None,
        figures: Mapping[str, Any] | None = None,
    ) -> None:
        self._payload = payload
        self.stored = stored
        self._figures = figures
        self.notes: facts.Facts = {}

    def __json__(self) -> Mapping[str, Any]:
        """Return the JSON object; kombu's encoder calls this."""
        if self.stored is None:
            return self._payload
        result: dict[str, Any] = json.loads(b"".join(self.stored))
        return result

    @property
    def facts(self) -> facts.Facts:
        """Ids and sizes, never a rendered text."""
        if self._figures is not None:
            return {**self._figures, **self.notes}
        shown: facts.Facts = {
            key: value for key in SHOWN if isinstance(value := self._payload.get(key), str | int)
        }
        if isinstance(body := self._payload.get("body"), str):
            shown["characters"] = len(body)
        return {**shown, **self.notes}

    def __repr__(self) -> str:
        """Return the facts."""
        return facts.written(self.facts)
