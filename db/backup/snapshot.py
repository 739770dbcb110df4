"""One state of the database, for pg_dump and for the facts that are kept beside the dump."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from db.backup.catalogue import TableFacts
from db.backup.facts import revision, table_facts, table_names
from db.commands.core import Client, explained
from db.session import connection_options

CONNECT_TIMEOUT: Final = 10
# As pg_dump does for itself: it lasts as long as the dump does, and idles for most of that.
_NO_TIMEOUTS: Final = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
               'idle_session_timeout', 'transaction_timeout')
"""
_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ABOUT: Final = """
SELECT pg_export_snapshot(), current_database(), current_setting('server_version'),
       current_setting('server_version_num')::integer / 10000,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A transaction that sees one state, and hands it on to others.

    Attributes
    ----------
    client
        As it was given, with the one server that this transaction is on.
    name
        What ``pg_dump --snapshot`` takes.
    database, server_version, server_major, is_superuser
        Of the connection.
    """

    client: Client
    connection: psycopg.Connection
    name: str
    database: str
    server_version: str
    server_major: int
    is_superuser: bool

    def tables(self) -> list[str]:
        """Return the tables of schema ``public``."""
        return table_names(self.connection)

    def facts(self, table: str) -> TableFacts:
        """Return what a table holds."""
        with explained():
            return table_facts(self.connection, table)

    def revision(self) -> str | None:
        """Return the migration that the database is at."""
        return revision(self.connection)


@contextmanager
def exported(client: Client) -> Iterator[Snapshot]:
    """Yield a snapshot of the database; it can be used by others until the end of the block.

    https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION

    Raises
    ------
    OperationError
        ``password_refused`` or ``permission_denied``.
    psycopg.Error
        The server is away, and may come back.
    """
    with (
        explained(),
        psycopg.connect(
            make_conninfo("", **connection_options(client.url)),
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
        ) as connection,
    ):
        connection.execute(_NO_TIMEOUTS)
        connection.execute(_BEGIN)
        ((name, database, version, major, is_superuser),) = connection.execute(_ABOUT)
        yield Snapshot(
            client=_pinned(client, connection),
            connection=connection,
            name=name,
            database=database,
            server_version=version.split()[0],
            server_major=major,
            is_superuser=is_superuser,
        )
        connection.execute("ROLLBACK")


def _pinned(client: Client, connection: psycopg.Connection) -> Client:
    # A URL with several hosts might lead pg_dump to another one.
    info = connection.info
    address: dict[str, str] = {"host": info.host, "port": str(info.port)}
    if info.hostaddr:
        address["hostaddr"] = info.hostaddr
    return replace(client, url=make_conninfo("", **(connection_options(client.url) | address)))
