"""A snapshot of the database for pg_dump, and the row counts and checksums of tables in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row

from db.addresses import CLIENT_ENCODING, connection_options
from db.backup.catalogue import TableFacts
from db.backup.databases import remove_timeouts
from db.commands.core import Client
from db.postgres_errors import permanent_errors_explained

SCHEMA: Final = "public"
EMPTY: Final = TableFacts(rows=0, digest="0")

# With these a row has the same text on every server, for every role and in every database:
# https://www.postgresql.org/docs/current/runtime-config-client.html#RUNTIME-CONFIG-CLIENT-FORMAT.
_TEXT_FORMAT: Final = """
SELECT set_config('DateStyle', 'ISO, YMD', false), set_config('IntervalStyle', 'postgres', false),
       set_config('TimeZone', 'UTC', false), set_config('bytea_output', 'hex', false),
       set_config('extra_float_digits', '1', false), set_config('search_path', 'pg_catalog', false),
       set_config('lc_monetary', 'C', false), set_config('quote_all_identifiers', 'off', false)
"""
_TABLES: Final = """
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r'
ORDER BY c.relname
"""
# The sum does not depend on the order of rows, and counts duplicates, which XOR would cancel out.
_FACTS: Final = sql.SQL("""
SELECT count(*), coalesce(sum(('x' || left(md5({text}), 16))::bit(64)::bigint), 0)::text
FROM ONLY {table} AS "the row"
""")
# A row's text has at most 1 GB, in which quotation marks count twice. Rows that exceed it are
# hashed by column; PostgreSQL dumps them unless COPY exceeds the same limit.
BY_COLUMN: Final = "columns:"
"""Prefix of a checksum that is computed from hashes of columns instead of rows."""
_COLUMNS: Final = """
SELECT a.attname FROM pg_attribute AS a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_AS_STORED: Final = sql.SQL('"the row"::text')
_AS_UTF8: Final = sql.SQL("""convert_to("the row"::text, 'UTF8')""")
# Nothing is converted from these: the bytes of SQL_ASCII have no meaning.
_UNCONVERTED: Final = {"UTF8", "SQL_ASCII"}
CONNECT_TIMEOUT: Final = 10
_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ABOUT: Final = """
SELECT pg_export_snapshot(), current_database(), current_setting('server_version'),
       current_setting('server_version_num')::integer / 10000,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A transaction whose snapshot other sessions can use.

    Attributes
    ----------
    client
        A client of the one server that this transaction is on.
    name
        For ``pg_dump --snapshot``.
    database, server_version, server_major, is_superuser
        Facts about the connection and its server.
    """

    client: Client
    connection: psycopg.Connection
    name: str
    database: str
    server_version: str
    server_major: int
    is_superuser: bool


@contextmanager
def exported(client: Client) -> Iterator[Snapshot]:
    """Yield a snapshot of the database, which other sessions can use until the end of the block.

    https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION

    Raises OperationError: ``password_refused`` or ``permission_denied``.
    Raises psycopg.Error: the server cannot be reached; a retry may succeed.
    """
    with (
        permanent_errors_explained(),
        psycopg.connect(
            make_conninfo("", **connection_options(client.url)),
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
            client_encoding=CLIENT_ENCODING,
        ) as connection,
    ):
        remove_timeouts(connection)
        set_text_format(connection)
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
    # With a URL of several hosts, pg_dump could connect to another one.
    info = connection.info
    address: dict[str, str] = {"host": info.host, "port": str(info.port)}
    if info.hostaddr:
        address["hostaddr"] = info.hostaddr
    return replace(client, url=make_conninfo("", **(connection_options(client.url) | address)))


def table_names(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the tables of schema ``public``, sorted."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        return [name for (name,) in cursor.execute(_TABLES, [SCHEMA])]


def set_text_format(connection: psycopg.Connection[Any]) -> None:
    """Set the formats and the search path that :func:`table_facts` needs, for the session."""
    connection.execute(_TEXT_FORMAT)


def table_facts(
    connection: psycopg.Connection[Any],
    table: str,
    *,
    as_stored: bool = False,
    by_column: bool = False,
) -> TableFacts:
    """Return the number of rows of a table of schema ``public``, and their checksum.

    The checksum is the sum, over all rows, of 64 bits of the MD5 of the row as text in UTF-8: the
    same for the same rows in any order, in a database of any encoding. One statement reads the
    table once.

    Parameters
    ----------
    connection
        After :func:`set_text_format`.
    as_stored
        Whether the text is in the database's own encoding, as for entries of earlier versions.
    by_column
        Whether a row's hash is computed from the hashes of its columns, as for rows that are too
        long for one text.
    """
    is_converted = not as_stored and encoding(connection) not in _UNCONVERTED
    name = sql.Identifier(SCHEMA, table)
    with connection.cursor(row_factory=tuple_row) as cursor:
        if not by_column:
            whole = _AS_UTF8 if is_converted else _AS_STORED
            try:
                with connection.transaction():
                    ((rows, digest),) = cursor.execute(_FACTS.format(text=whole, table=name))
            except errors.ProgramLimitExceeded:
                pass
            else:
                return TableFacts(rows=rows, digest=digest)
        columns = [column for (column,) in cursor.execute(_COLUMNS, [name.as_string()])]
        text = _of_columns(columns, is_converted=is_converted)
        ((rows, digest),) = cursor.execute(_FACTS.format(text=text, table=name))
    return TableFacts(rows=rows, digest=f"{BY_COLUMN}{digest}")


def _of_columns(columns: list[str], *, is_converted: bool) -> sql.Composed:
    hashed = sql.SQL("md5(convert_to({}::text, 'UTF8'))" if is_converted else "md5({}::text)")
    each = [
        sql.SQL("coalesce({}, '-')").format(hashed.format(sql.Identifier("the row", column)))
        for column in columns
    ]
    return sql.SQL(" || ").join(each)


def database_size(connection: psycopg.Connection[Any]) -> int:
    """Return the disk space of the database in bytes."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        ((size,),) = cursor.execute("SELECT pg_database_size(current_database())")
    return int(size)


def encoding(connection: psycopg.Connection[Any]) -> str:
    """Return the encoding of the database, such as ``UTF8``."""
    return connection.info.parameter_status("server_encoding") or "UTF8"


def revision(connection: psycopg.Connection[Any]) -> str | None:
    """Return the migration of the database, ``None`` if Alembic never ran."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        ((found,),) = cursor.execute("SELECT to_regclass('public.alembic_version')")
        if found is None:
            return None
        row = cursor.execute("SELECT version_num FROM public.alembic_version").fetchone()
    return None if row is None else str(row[0])
