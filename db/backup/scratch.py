"""Scratch databases of restores: each belongs to a process; if it was killed, they are dropped.

The owner holds an advisory lock in the maintenance database as long as it works on its database;
the server releases the lock when the owner's connection ends. The database's comment names the
process.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import psycopg
from psycopg import errors, sql
from psycopg.rows import DictRow, dict_row

from db.backup.databases import administering, create, drop, named

_WORD: Final = "_restoring_"
_MARK: Final = "template-service: restore"
_LOCK: Final = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
# pg_locks shows the locks of all databases; the key is in two halves.
_ORPHANS: Final = """
SELECT d.datname AS name, shobj_description(d.oid, 'pg_database') AS comment
FROM pg_database AS d
WHERE strpos(d.datname, %(word)s) > 0
    AND starts_with(shobj_description(d.oid, 'pg_database'), %(mark)s)
    AND NOT EXISTS (
        SELECT FROM pg_locks AS l
        WHERE l.locktype = 'advisory' AND l.objsubid = 1
            AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(d.datname, 0)
    )
ORDER BY d.datname
"""


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """Yield the name of a new empty database like the one in ``url``; drop it at the end.

    A database that was renamed meanwhile stays; see :func:`release`. First, the databases of killed
    processes are dropped.

    Raises OperationError: see :func:`db.backup.databases.create`.
    """
    live = named(url)
    # Random, because two restores may start in the same second.
    database = f"{live.encode()[:32].decode(errors='ignore')}{_WORD}{uuid4().hex[:12]}"
    with administering(url) as owner:
        owner.execute(_LOCK, [database])
        drop_orphans(owner)
        try:
            with administering(url) as admin:
                create(admin, database, live)
                _comment(admin, database, _text())
            yield database
        finally:
            with administering(url) as admin:
                drop(admin, database)


def release(admin: psycopg.Connection[DictRow], database: str) -> None:
    """Remove the owner's name from a database before it is renamed."""
    _comment(admin, database, None)


def orphans(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return the scratch databases of killed processes, with their comments."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_ORPHANS, {"word": _WORD, "mark": _MARK}).fetchall()
    return {row["name"]: row["comment"] for row in found}


def drop_orphans(admin: psycopg.Connection[DictRow]) -> None:
    """Drop the scratch databases of killed processes, as far as the role may."""
    for name in orphans(admin):
        with suppress(errors.InsufficientPrivilege, errors.ObjectInUse):
            drop(admin, name)


def _text() -> str:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{_MARK} by process {os.getpid()} on {socket.gethostname()} since {now}"


def _comment(admin: psycopg.Connection[DictRow], database: str, text: str | None) -> None:
    admin.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(database), sql.Literal(text))
    )
