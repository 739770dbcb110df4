"""A dump of data alone goes into tables that migrations have made."""

from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from db.backup.catalogue import Entry
from db.backup.compare import rows_of
from db.backup.databases import administering, at, connected, exists
from db.backup.facts import SCHEMA, revision
from db.backup.fetch import fetch
from db.backup.load import jobs_for, load_data
from db.backup.policy import BackupPolicy
from db.backup.store import Store
from db.commands.core import Client
from db.commands.restore import FAST
from db.errors import OperationError


def restore_data(  # noqa: PLR0913, PLR0917 - one step of a restore, which has them all
    client: Client,
    policy: BackupPolicy,
    store: Store,
    entry: Entry,
    into: str | None,
    folder: Path,
) -> dict[str, int]:
    """Restore a dump of data alone; return the rows of each table.

    Parameters
    ----------
    client
        Programs and a database of the server.
    policy, store, entry
        The backup.
    into
        A database at the migration of the dump, without rows.
    folder
        For files under way.

    Raises
    ------
    OperationError
        ``schema_missing``, ``schema_differs``, ``database_not_empty``; what went wrong.
    """
    upgrade = f"run 'alembic upgrade {entry.revision}' on it"
    with administering(client.url) as admin:
        if into is None or not exists(admin, into):
            raise OperationError(
                "schema_missing",
                f"{entry.name} has rows and no tables to put them in",
                f"make a database, {upgrade}, and name it with --into",
            )
    there = replace(client, url=at(client.url, into), options=FAST)
    with connected(there.url) as connection:
        found = revision(connection)
        if found != entry.revision:
            raise OperationError(
                "schema_differs",
                f"database {into} is at migration {found}, {entry.name} at {entry.revision}",
                upgrade,
            )
        filled = [name for name in sorted(entry.tables) if _has_rows(connection, name)]
    if filled:
        raise OperationError(
            "database_not_empty",
            f"tables of {into} have rows already: {', '.join(filled)}",
            "name a database whose tables are empty",
        )
    dump = fetch(client, store, entry, entry.dump, policy, folder)
    load_data(there, entry, dump)
    return rows_of(there.url, entry, jobs=jobs_for(dump))


def _has_rows(connection: psycopg.Connection, table: str) -> bool:
    if table == "alembic_version":
        return False
    statement = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(SCHEMA, table))
    return connection.execute(statement).fetchone() == (True,)
