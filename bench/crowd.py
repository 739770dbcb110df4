"""A database as large as a busy one: 200,000 templates, a million versions, translations."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

TEMPLATES: Final = 200_000
VERSIONS: Final = 5
LANGUAGES: Final = ("de", "fr", "pl")
SENTENCES: Final = 5
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_VARIABLES: Final = json.dumps([{"name": "name", "type": "string", "required": True}])
_SYLLABLES: Final = (
    "an", "be", "con", "de", "er", "fi", "ga", "hal", "in", "ja", "kor", "lim", "mo", "nu", "or",
    "pre", "qua", "ra", "sen", "ti", "ul", "ver", "wo", "xa", "yt", "za",
)  # fmt: skip


def fill(database_url: str, templates: int = TEMPLATES, versions: int = VERSIONS) -> None:
    """Store the rows by COPY; the current version of each template has the translations."""
    draw = random.Random(templates)  # noqa: S311 - no secret
    words = ["".join(draw.choices(_SYLLABLES, k=draw.randint(1, 4))) for _ in range(4000)]
    texts = [_text(draw, words) for _ in range(20_000)]
    with psycopg.connect(database_url) as connection:
        _copy(
            connection,
            "templates (id, template_id, name, type, created_at)",
            (
                (_id(1, n), f"crowd-{n}", f"Crowd {n}", "email", _EPOCH + timedelta(seconds=n))
                for n in range(templates)
            ),
        )
        _copy(
            connection,
            "template_versions"
            " (id, template_id, version, subject, body, variables, is_current, created_at)",
            (
                (
                    _id(2, n * versions + v), _id(1, n), str(v + 1), f"For {{{{ name }}}}, {n}",
                    f"<p>Dear {{{{ name }}}}, {n * v:x}</p>{draw.choice(texts)}", _VARIABLES,
                    v == versions - 1, _EPOCH + timedelta(days=v, seconds=n),
                )
                for n in range(templates)
                for v in range(versions)
            ),
        )  # fmt: skip
        _copy(
            connection,
            "template_translations (id, template_version_id, language_code, subject, body)",
            (
                (
                    _id(3, n * len(LANGUAGES) + place), _id(2, n * versions + versions - 1),
                    language, None, f"<p>{{{{ name }}}} {n:x}</p>{draw.choice(texts)}",
                )
                for n in range(templates)
                for place, language in enumerate(LANGUAGES)
            ),
        )  # fmt: skip
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _copy(connection: psycopg.Connection, target: str, rows: Iterator[tuple[Any, ...]]) -> None:
    with connection.cursor().copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _text(draw: random.Random, words: list[str]) -> str:
    """Return a paragraph with words of uneven frequency, as in a language."""
    sentences = [
        " ".join(words[int(len(words) * draw.random() ** 3)] for _ in range(draw.randint(6, 14)))
        for _ in range(SENTENCES)
    ]
    return "<p>" + ". ".join(sentences).capitalize() + ".</p>"


def _id(kind: int, number: int) -> UUID:
    # Spread over the whole range, as the ids are that the database makes.
    return UUID(int=random.Random(kind << 40 | number).getrandbits(128))  # noqa: S311 - no secret
